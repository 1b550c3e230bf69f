// What C++ adds to data: namespaces, classes with static members, several and
// virtual base classes, templates, references, thread-locals, bit-fields, `enum
// class`, unions without a name. Says `ready`, then adds one to most of it for
// each round asked for, and answers with the counts.
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace plane {

enum class Colour : std::uint8_t { red = 1, green, blue = 200 };
enum Side { left = -1, middle, right };

struct Point {
    double x, y;
};

template <typename T, int N> struct Ring {
    T slots[N];
    std::uint32_t next;
    static std::uint64_t pushed;
    void push(const T &value) {
        slots[next++ % N] = value;
        pushed++;
    }
};
template <typename T, int N> std::uint64_t Ring<T, N>::pushed;

class Named {
public:
    virtual ~Named() = default;
    std::string name;
    static int alive;
    static const char *const kind;
    static thread_local long touched;

protected:
    short tag = 7;
};
int Named::alive = 0;
const char *const Named::kind = "named";
thread_local long Named::touched = 0;

struct Counted {
    unsigned long count = 0;
    unsigned low : 3, middle : 12, : 5, high : 9;
    signed char balance : 6;
    bool seen : 1;
};

// Two bases, with tables of virtual functions.
struct Shape : Named, Counted {
    Colour colour = Colour::green;
    Side side = left;
    union {
        std::uint64_t whole;
        struct {
            std::uint32_t lower, upper;
        };
        unsigned char bytes[8];
    };
    Point corners[4] = {};
    Shape *neighbour = nullptr;
    double Point::*nothing = nullptr;
    virtual double area() const { return 0; }
};

struct Clock {
    long ticks = 0;
};
struct Left : virtual Clock {
    int left = 1;
};
struct Right : virtual Clock {
    int right = 2;
};
struct Both : Left, Right {
    int both = 3;
};

namespace {
int hidden = 11;
Ring<short, 3> window;
} // namespace

inline namespace v2 {
std::atomic<std::uint64_t> rounds{0};
}

Shape first, second;
Shape &alias = first;
Shape *chosen = &second;
Both both;
Ring<Point, 5> points;
Ring<Ring<char, 2>, 2> nested;
std::array<std::uint16_t, 4> quota{{10, 20, 30, 40}};
std::string motto = "short";
std::unique_ptr<Point> owned = std::make_unique<Point>();
std::vector<long> series = {1, 2, 3};
char16_t wide[4] = u"abc";
wchar_t wider = L'w';
long double precise = 1.5L;
__int128 huge = 1;
volatile const int fixed = 42;
int matrix[2][3] = {{1, 2, 3}, {4, 5, 6}};
int (*compare)(const void *, const void *) = nullptr;
void *anything = &first;

} // namespace plane

static thread_local int calls;
thread_local plane::Point cursor = {1, 2};

__attribute__((noinline)) static unsigned long work() {
    // Its own, though other functions may have one of that name.
    static unsigned long total;
    total++;
    calls++;
    cursor.x += 1;
    plane::Named::touched++;
    plane::rounds++;
    plane::hidden++;
    plane::window.push(static_cast<short>(total));
    plane::points.push({1, static_cast<double>(total)});
    plane::first.count++;
    plane::alias.middle++;
    plane::chosen->whole += 1ull << 32;
    plane::both.ticks++;
    plane::quota[2]++;
    return total;
}

int main() {
    plane::first.neighbour = &plane::second;
    plane::second.neighbour = &plane::first;
    plane::Named::alive = 2;
    std::puts("ready");
    std::fflush(stdout);
    unsigned long asked, total = 0;
    while (std::scanf("%lu", &asked) == 1) {
        for (; asked; asked--)
            total = work();
        std::printf("total %lu rounds %lu count %lu\n", total,
                    static_cast<unsigned long>(plane::rounds), plane::first.count);
        std::fflush(stdout);
    }
    return plane::nested.next + (plane::fixed != 42) + (plane::precise < 1) +
           (plane::huge != 1) + (plane::wider != L'w') + (plane::wide[0] != u'a') +
           plane::matrix[0][0] - 1 + (plane::compare != nullptr) + (plane::motto.empty()) +
           (plane::owned->x != 0) + (plane::series.size() != 3) +
           (plane::anything == nullptr) + (plane::Named::kind[0] != 'n');
}
