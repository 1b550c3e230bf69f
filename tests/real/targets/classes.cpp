// What C++ adds to the types of C, stored to with values that the test knows.
// Says that it has finished by a store, and then waits for a line.
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <string>

namespace stock {

enum class Grade : std::uint8_t { low = 1, high = 200 };

struct Base {
    int weight = 1;
    virtual ~Base() = default;
};
struct Item : Base {
    int price = 2;
    bool sold = false;
    static int made;
};
int Item::made = 10;

template <typename T> struct Box {
    T inside;
    static long opened;
};
template <typename T> long Box<T>::opened = 0;

} // namespace stock

volatile stock::Grade grade = stock::Grade::low;
stock::Item item;
long target = 5;
long &reference = target;
std::atomic<int> turns{-4};
std::string word = "short";
stock::Box<short> box = {3};
bool *volatile flag;
volatile int finished;

int main() {
    grade = stock::Grade::high;
    grade = static_cast<stock::Grade>(7);
    *(volatile int *)&item.weight = -11;
    *(volatile int *)&item.price = 12;
    *(volatile int *)&stock::Item::made = 11;
    *(volatile bool *)&item.sold = true;
    *(volatile long *)&target = 6;
    turns.store(9, std::memory_order_relaxed);
    turns.fetch_add(-20);
    word += " no longer at all";
    *(volatile long *)&stock::Box<short>::opened = 77;
    *(volatile short *)&box.inside = -5;
    flag = &item.sold;
    finished = 1;
    char line[16];
    if (std::fgets(line, sizeof line, stdin))
        std::puts("bye");
}
