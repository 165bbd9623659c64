module aeon/examples/go

go 1.23

require aeon/sdk/go v0.0.0

replace aeon/sdk/go => ../../sdk/go
