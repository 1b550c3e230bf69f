/* Three threads share a balance; a fourth should not touch it. */
#include <pthread.h>

long balance = 1000;

static void *deposit(void *unused)
{
	for (int round = 0; round < 500; round++)
		__atomic_fetch_add(&balance, 3, __ATOMIC_RELAXED);
	return unused;
}

static void *audit(void *unused)
{
	volatile long seen = 0;

	for (int round = 0; round < 200; round++)
		seen = __atomic_load_n(&balance, __ATOMIC_RELAXED);
	(void)seen;
	return unused;
}

/* The culprit: sets the balance back, ten times. */
static void *forget(void *unused)
{
	for (int round = 0; round < 10; round++)
		__atomic_store_n(&balance, 1000, __ATOMIC_RELAXED);
	return unused;
}

int main(void)
{
	void *(*work[])(void *) = { deposit, deposit, audit, forget };
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, work[i], NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	return 0;
}
