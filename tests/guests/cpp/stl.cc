// The C++ library at work: containers, algorithms, strings, streams, smart pointers, virtual calls, static
// initialisers.
#include <algorithm>
#include <array>
#include <functional>
#include <iomanip>
#include <iostream>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <unordered_map>
#include <vector>

namespace {

struct Shape {
    virtual ~Shape() = default;
    virtual double area() const = 0;
    virtual std::string name() const = 0;
};

struct Circle final : Shape {
    explicit Circle(double r) : r(r) {}
    double area() const override { return 3.14159265358979 * r * r; }
    std::string name() const override { return "circle"; }
    double r;
};

struct Square final : Shape {
    explicit Square(double side) : side(side) {}
    double area() const override { return side * side; }
    std::string name() const override { return "square"; }
    double side;
};

std::vector<std::string> log_of_statics;

struct Announcer {
    explicit Announcer(std::string who) : who(std::move(who)) { log_of_statics.push_back("up " + this->who); }
    ~Announcer() { std::cout << "down " << who << '\n'; }
    std::string who;
};

const Announcer announcer("static");

void count_words() {
    std::istringstream text("the quick brown fox jumps over the lazy dog and the quick cat");
    std::map<std::string, int> counts;
    for (std::string word; text >> word;)
        counts[word]++;
    for (const auto &[word, count] : counts)
        std::cout << word << '=' << count << ' ';
    std::cout << '\n';
}

void sort_numbers() {
    std::mt19937 generator(42);
    std::vector<unsigned> numbers(10000);
    std::generate(numbers.begin(), numbers.end(), std::ref(generator));
    std::sort(numbers.begin(), numbers.end());
    const std::set<unsigned> set(numbers.begin(), numbers.end());
    const auto sum = std::accumulate(numbers.begin(), numbers.end(), 0ULL);
    std::cout << numbers.front() << ' ' << numbers.back() << ' ' << set.size() << ' ' << sum << '\n';
    const auto found = std::lower_bound(numbers.begin(), numbers.end(), numbers[5000]);
    std::cout << (found - numbers.begin()) << ' ' << std::is_sorted(set.begin(), set.end()) << '\n';
}

void measure_shapes() {
    std::vector<std::unique_ptr<Shape>> shapes;
    for (int i = 1; i <= 4; i++) {
        if (i % 2)
            shapes.push_back(std::make_unique<Circle>(i));
        else
            shapes.push_back(std::make_unique<Square>(i));
    }
    std::stable_sort(shapes.begin(), shapes.end(), [](const auto &a, const auto &b) { return a->area() > b->area(); });
    for (const auto &shape : shapes)
        std::cout << shape->name() << ' ' << std::fixed << std::setprecision(3) << shape->area() << "; ";
    std::cout << '\n';
}

void hash_strings() {
    std::unordered_map<std::string, std::array<int, 3>> table;
    for (int i = 0; i < 1000; i++)
        table["key-" + std::to_string(i)] = {i, i * i, -i};
    long sum = 0;
    for (int i = 0; i < 1000; i += 7)
        sum += table.at("key-" + std::to_string(i))[1];
    std::cout << table.size() << ' ' << sum << ' ' << table.count("key-1000") << '\n';
}

} // namespace

int main() {
    for (const auto &line : log_of_statics)
        std::cout << line << '\n';
    count_words();
    sort_numbers();
    measure_shapes();
    hash_strings();
    return 0;
}
