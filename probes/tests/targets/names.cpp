// Variables with mangled names; see data.c.
#include <cstdio>
#include <string>

namespace app {
namespace stats {
long hits;
}
struct Pool {
    static int live;
    int *fill(int n) const;
};
int Pool::live;
template <int N> struct Grid {
    static int cells;
};
template <int N> int Grid<N>::cells = N;
__attribute__((noinline)) int *Pool::fill(int n) const {
    static int filled;
    filled += n;
    return &filled;
}
} // namespace app

namespace {
int hidden;
}

// Tagged with the ABI in their names, as their type is.
std::string label = "a";
namespace app {
std::string title = "b";
}

__attribute__((noinline)) int *next_number() {
    static int number = (int)label.size(); // has a guard variable
    number++;
    return &number;
}

int main() {
    app::stats::hits = ++hidden;
    setvbuf(stdout, nullptr, _IONBF, 0);
    printf("app::stats::hits %p\n", (void *)&app::stats::hits);
    printf("stats::hits %p\n", (void *)&app::stats::hits);
    printf("hits %p\n", (void *)&app::stats::hits);
    printf("app::Pool::live %p\n", (void *)&app::Pool::live);
    printf("Grid<3>::cells %p\n", (void *)&app::Grid<3>::cells);
    printf("Grid<-4>::cells %p\n", (void *)&app::Grid<-4>::cells);
    printf("hidden %p\n", (void *)&hidden);
    printf("(anonymous\302\240namespace)::hidden %p\n", (void *)&hidden);
    printf("filled %p\n", (void *)app::Pool().fill(2));
    printf("_ZN3app5stats4hitsE %p\n", (void *)&app::stats::hits);
    printf("hidden@names.cpp %p\n", (void *)&hidden);
    printf("label %p\n", (void *)&label);
    printf("label[abi:cxx11] %p\n", (void *)&label);
    printf("app::title %p\n", (void *)&app::title);
    printf("title %p\n", (void *)&app::title);
    printf("number %p\n", (void *)next_number());
    puts("ready");
    while (getchar() != EOF) {
    }
}
