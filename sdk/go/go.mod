module aeon/sdk/go

go 1.23
