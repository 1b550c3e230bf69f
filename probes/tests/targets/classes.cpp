// Variables of every kind of type that C++ has beyond C's.
#include <cstdint>

namespace app {
inline namespace v1 {
int versioned = 1;
}
enum class Level : unsigned char { Low = 1, High = 200 };
enum Plain { First, Second = -1 };
struct Base {
    long first;
};
struct Left : virtual Base {
    int left;
};
class Pool : public Base {
public:
    static int limit;
    static inline int live = 3;
    static constexpr int fixed = 5;
    virtual int size() const;
    int Pool::*member = nullptr;
    int (Pool::*method)() const = nullptr;
    Level level = Level::High;
    class Inner {
    public:
        int depth;
    } inner{};
};
int Pool::limit = 7;
__attribute__((noinline)) int Pool::size() const
{
    static int calls;
    return ++calls;
}
template <typename T, int N> struct Grid {
    static T cells[N];
    T own;
};
template <typename T, int N> T Grid<T, N>::cells[N];
Level level = Level::Low;
Plain plain = Second;
} // namespace app

namespace {
int hidden = 4;
}
namespace app {
namespace {
int deep = 5;
}
} // namespace app

app::Pool pool;
app::Left left;
app::Grid<short, 3> grid;
app::Pool &reference = pool;
app::Pool &&moved = static_cast<app::Pool &&>(pool);
thread_local int per_thread = 6;
char16_t wide[4] = u"abc";

int main(int argc, char **)
{
    hidden += argc;
    app::deep += argc;
    app::Grid<short, 3>::cells[argc % 3] = 1;
    app::Pool::live += argc;
    per_thread += argc + app::versioned;
    return pool.size() + app::Pool::limit + hidden + app::deep + app::Pool::fixed;
}
