-- lua.lua DIR: tables, closures, metatables, coroutines, errors, string patterns, files, time.
local dir = ...
print(_VERSION, 7 // 2, 7 / 2, 2 ^ 53, math.maxinteger + 1 == math.mininteger, 1 << 40)
print(("%5.2f|%-6s|%q"):format(math.pi, "left", 'a "quoted"\nline'))
print(("key = value"):match("^(%w+)%s*=%s*(%w+)$"), (("hello world"):gsub("o", { o = "0" })))

local Stack = {}
Stack.__index = Stack
Stack.__add = function(a, b) return setmetatable({ n = a.n + b.n }, Stack) end
Stack.__tostring = function(s) return "stack of " .. s.n end
print(tostring(setmetatable({ n = 2 }, Stack) + setmetatable({ n = 3 }, Stack)))

local function permutations(list, n)
    n = n or #list
    if n <= 1 then coroutine.yield(table.concat(list)) end
    for i = 1, n do
        list[n], list[i] = list[i], list[n]
        permutations(list, n - 1)
        list[n], list[i] = list[i], list[n]
    end
end
local all = {}
for p in coroutine.wrap(function() permutations({ "a", "b", "c", "d" }) end) do all[#all + 1] = p end
table.sort(all)
print(#all, all[1], all[#all])

print(pcall(error, { code = 5 }))
print(select(2, pcall(function() local t = nil; return t.x end)))
print(select(2, pcall(string.rep)))
print(pcall(function() return 1 + (function(f) return f(f) end)(function(f) return 1 + f(f) end) end))
local count = 0
for i = 1, 10000 do
    if not pcall(error, i) then count = count + 1 end
end
print("caught", count)
print(load("x ="))
local closed = {}
do
    local _ <close> = setmetatable({}, { __close = function() closed[#closed + 1] = "closed" end })
end
print(closed[1], collectgarbage("count") > 0)

local sieve, primes = {}, 0
for i = 2, 50000 do
    if not sieve[i] then
        primes = primes + 1
        for j = i * i, 50000, i do sieve[j] = true end
    end
end
print("primes", primes)

if dir then
    local path = dir .. "/lua.txt"
    local file = assert(io.open(path, "w"))
    for i = 1, 100 do file:write("line ", i, "\n") end
    file:close()
    local lines = 0
    for _ in io.lines(path) do lines = lines + 1 end
    print("lines", lines)
    assert(os.remove(path))
    print(io.open(path))
end
print(os.time() > 1700000000, os.clock() >= 0, os.date("!%Y-%m-%d", 0), math.random())
error("the end")
