// Data of C++ to be listed: namespaces, templates, bases, statics of classes.
#include <cstdio>

namespace app {
struct Base { int id; };
template <class T> struct Pool : Base {
    static T limit;
    T value;
};
template <class T> T Pool<T>::limit = 4;
enum class Color { red, green };
Pool<int> pool;
Color color = Color::green;
namespace { short hidden = 3; }
}

int main() {
    app::pool.id++;
    app::pool.value += app::Pool<int>::limit + (int)app::Pool<long>::limit;
    app::hidden = (short)app::pool.value;
    std::printf("%d\n", (int)app::color + app::hidden);
}
