/* A valve with three states, and an alarm that opens it without leave. */

enum { CLOSED, OPEN, STUCK };

volatile int state = CLOSED;
volatile unsigned short pressure;

__attribute__((noinline)) static void control(int wanted)
{
	state = wanted;
}

__attribute__((noinline)) static void alarm_rings(void)
{
	state = STUCK;
}

__attribute__((noinline)) static void measure(int round)
{
	pressure = 100 + round % 7;
}

int main(void)
{
	for (int round = 0; round < 20; round++) {
		measure(round);
		control(round < 10 ? CLOSED : OPEN);
		if (round == 14)
			alarm_rings();
	}
	return 0;
}
