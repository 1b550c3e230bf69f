/* Counts a hundred ticks a second, for two seconds. */
#include <unistd.h>

volatile unsigned ticks;

__attribute__((noinline)) static void tick(void)
{
	ticks++;
}

int main(void)
{
	for (int i = 0; i < 200; i++) {
		tick();
		usleep(10000);
	}
	return 0;
}
