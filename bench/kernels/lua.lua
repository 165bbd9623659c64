-- What Lua programs do: calls, tables as arrays and records, methods, closures, strings, numbers of both kinds.
-- Argument: how often (1). No errors and no coroutines: the build that is timed ends at an error (bench/engines.py).
local times = tonumber(arg[1] or 1)

local function ackermann(m, n)
  if m == 0 then return n + 1 end
  if n == 0 then return ackermann(m - 1, 1) end
  return ackermann(m - 1, ackermann(m, n - 1))
end

local function queens(n)
  local found, columns, up, down = 0, {}, {}, {}
  local function place(row)
    if row > n then
      found = found + 1
      return
    end
    for column = 1, n do
      if not (columns[column] or up[row + column] or down[row - column + n]) then
        columns[column], up[row + column], down[row - column + n] = true, true, true
        place(row + 1)
        columns[column], up[row + column], down[row - column + n] = false, false, false
      end
    end
  end
  place(1)
  return found
end

local function sieve(limit)
  local composite, count = {}, 0
  for i = 2, limit do
    if not composite[i] then
      count = count + 1
      for j = i * i, limit, i do composite[j] = true end
    end
  end
  return count
end

local Account = {}
Account.__index = Account

function Account.new(owner) return setmetatable({owner = owner, balance = 0, log = {}}, Account) end

function Account:move(amount)
  self.balance = self.balance + amount
  if amount % 7 == 0 then self.log[#self.log + 1] = amount end
  return self
end

local function accounts(n)
  local all, sum = {}, 0
  for i = 1, 20 do all[i] = Account.new("owner " .. i) end
  for i = 1, n do all[i % 20 + 1]:move(i % 101 - 50) end
  for _, account in ipairs(all) do sum = sum + account.balance * #account.log end
  return sum
end

local function words(n)
  local counts, parts = {}, {}
  for i = 1, n do parts[i] = ("w%x"):format(i * i % 997) end
  for word in table.concat(parts, " "):gmatch("%S+") do counts[word] = (counts[word] or 0) + 1 end
  local list = {}
  for word, count in pairs(counts) do list[#list + 1] = {word = word, count = count} end
  table.sort(list, function(a, b)
    if a.count ~= b.count then return a.count > b.count end
    return a.word < b.word
  end)
  return list[1].word .. list[#list].word:upper()
end

local function integral(n)
  local sum, step = 0.0, 1.0 / n
  for i = 1, n do
    local x = (i - 0.5) * step
    sum = sum + 4.0 / (1.0 + x * x)
  end
  return sum * step
end

local function mixed(n)
  local state = 88172645463325252
  for _ = 1, n do
    state = state ~ (state << 13)
    state = state ~ (state >> 7)
    state = state ~ (state << 17)
  end
  return state
end

local last
for _ = 1, times do
  last = table.concat({
    ackermann(2, 150), queens(8), sieve(150000), accounts(200000), words(20000), ("%.9f"):format(integral(800000)),
    mixed(400000),
  }, " ")
end
print("lua " .. tostring(last))
