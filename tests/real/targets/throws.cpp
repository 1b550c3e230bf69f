// Counts in `watched` from where frames of C++ are left in all ways: thrown past, from
// destructors meanwhile, from lambdas, virtual functions and comparisons of a sort.
#include <algorithm>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

volatile long watched;

#define APART __attribute__((noinline))

extern "C" APART void begin() { __asm__ volatile(""); }

struct Guard {
    int by;
    APART ~Guard() { watched += by; }
};

struct Shape {
    virtual ~Shape() = default;
    virtual int area(int side) const = 0;
};
template <int Sides> struct Regular : Shape {
    APART int area(int side) const override {
        watched += Sides;
        if (side > 2)
            throw std::runtime_error("too large");
        return side * Sides;
    }
};

namespace {
APART int within(const Shape &shape, int side) {
    Guard guard{side};
    return shape.area(side);
}

APART int tries(const Shape &shape, int side) {
    try {
        return within(shape, side);
    } catch (const std::runtime_error &error) {
        Guard guard{int(std::string(error.what()).size())};
        watched += 100;
        return 0;
    }
}

template <typename Each> APART void each(const std::vector<int> &all, Each run) {
    for (int one : all)
        run(one);
}

APART void lambdas(std::vector<int> &all) {
    std::function<void(int)> counts = [&](int by) { watched += by + int(all.size()); };
    each(all, [&](int by) {
        counts(by);
        auto inner = [by] { watched += by; };
        inner();
    });
    std::sort(all.begin(), all.end(), [](int a, int b) {
        watched++;
        return a > b;
    });
}

APART void rethrows() {
    try {
        try {
            Guard guard{7};
            throw 1;
        } catch (int) {
            watched++;
            throw;
        }
    } catch (...) {
        watched++;
    }
}
} // namespace

int main() {
    std::vector<int> all{5, 1, 4, 2, 3};
    begin();
    std::unique_ptr<Shape> shapes[] = {std::make_unique<Regular<3>>(),
                                       std::make_unique<Regular<4>>()};
    for (auto &shape : shapes)
        for (int side = 1; side < 5; side++)
            tries(*shape, side);
    lambdas(all);
    rethrows();
    std::thread([&] { lambdas(all); }).join();
}
