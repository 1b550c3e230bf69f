/* A cache of pages: a table with a setting for each kind, and a list of what was used
 * last. Somebody sets a limit that nobody should. */
#include <unistd.h>

enum kind { TEXT, IMAGE, SOUND };

struct limit {
	int min;
	unsigned max : 20;
	unsigned fixed : 1;
};

struct page {
	enum kind kind;
	int uses;
	struct page *next;
};

struct cache {
	const char *name;
	struct limit limits[3];
	struct page *newest;
	double full;
} cache = { .name = "pages", .limits = { { 1, 10, 1 }, { 2, 20, 0 }, { 3, 30, 0 } } };

static struct page pages[4];

__attribute__((noinline)) static void use(struct page *page, enum kind kind)
{
	page->kind = kind;
	page->next = cache.newest;
	cache.newest = page;
	page->uses++;
}

__attribute__((noinline)) static void adapt(int round)
{
	cache.limits[round % 3].max += round;
	cache.full = round / 8.0;
	cache.newest->uses += round;
}

/* The culprit. */
__attribute__((noinline)) static void tune(void)
{
	cache.limits[TEXT].min = -5;
}

int main(void)
{
	for (int round = 0; round < 6; round++) {
		use(&pages[round % 4], round % 3);
		usleep(60000);
		adapt(round);
		if (round == 3)
			tune();
	}
	usleep(60000);
	return 0;
}
