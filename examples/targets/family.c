/* A parent and two children, each with its own copy of a counter. */
#include <sys/wait.h>
#include <unistd.h>

volatile long counter;

__attribute__((noinline)) static void count(int times)
{
	for (int i = 0; i < times; i++)
		counter++;
}

int main(void)
{
	count(5);
	for (int child = 1; child <= 2; child++) {
		if (fork() == 0) {
			count(child * 10);
			_exit(0);
		}
		wait(NULL);
	}
	return 0;
}
