# ruby.rb DIR: blocks, strings, big numbers, collections, exceptions, files, time and entropy.
require "json"
require "set"
require "digest"

puts (1..20).reduce(:*), 2**100, 10.digits.inspect, 7.fdiv(3)
puts %w[pear apple fig].sort_by(&:size).inspect, "hello world".split.map(&:capitalize).join(" ")
puts({ b: 1, a: [1, nil, true] }.to_json, JSON.parse('{"x": [1, 2.5, null]}').inspect)
puts "the quick brown fox".scan(/\b(\w)(\w*)/).map { |first, rest| rest + first }.join(" ")
Point = Struct.new(:x, :y) do
  include Comparable
  def <=>(other) = [x, y] <=> [other.x, other.y]
end
puts [Point.new(2, 1), Point.new(1, 3)].min.inspect
fibonacci = Enumerator.new { |y| a, b = 0, 1; loop { y << a; a, b = b, a + b } }
puts fibonacci.lazy.select(&:even?).first(8).inspect
puts Digest::SHA256.hexdigest("aeon")
begin
  raise ArgumentError, "oops"
rescue => error
  puts "#{error.class}: #{error.message}"
ensure
  puts "ensured"
end
puts catch(:done) { 10.times { |i| throw :done, i if i == 4 }; :never }
case { name: "aeon", tags: ["a", "b"] }
in { name: String => name, tags: [*, "b", *] }
  puts "matched #{name}"
end
if ARGV[0]
  path = File.join(ARGV[0], "ruby.txt")
  File.write(path, "one\ntwo\n")
  File.open(path, "a") { |file| file.puts "three" }
  puts File.readlines(path, chomp: true).inspect, File.size(path)
  puts Dir.children(ARGV[0]).include?("ruby.txt")
  File.delete(path)
  puts File.exist?(path)
end
puts Time.now.to_f, Random.rand, Random.new_seed
warn "a word on standard error"
exit 3
