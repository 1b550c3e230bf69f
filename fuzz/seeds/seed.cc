// A little of everything; see make.
namespace app {
struct Base {
    long first;
};
template <int N> struct Pool : Base {
    static int limit;
    enum class Level : char { Low, High } level;
    int Pool::*member;
};
template <int N> int Pool<N>::limit = N;
} // namespace app
app::Pool<3> pool;
app::Pool<3> &list = pool;
int calls() { return app::Pool<3>::limit; }
