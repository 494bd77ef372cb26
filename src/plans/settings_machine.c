/*-------------------------------------------------------------------------
 *
 * settings_machine.c
 *		What the machine has, as far as the server may use it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <unistd.h>

#include "plans/settings_advice.h"
#include "storage/fd.h"

/*
 * The number in the first line of a file that begins with a word, or in the
 * first line without one; 0 if there is none.
 */
static double
number_in_file(const char *path, const char *word)
{
	FILE  *file = AllocateFile(path, "r");
	char   line[256];
	double result = 0;

	if (file == NULL)
		return 0;
	while (result == 0 && fgets(line, sizeof(line), file) != NULL)
	{
		if (strncmp(line, word, strlen(word)) == 0)
			result = strtod(line + strlen(word), NULL);
	}
	FreeFile(file);
	return result > 0 ? result : 0;
}

/*
 * Memory of the machine, or of the container if that has less, in kB; 0 if the
 * system does not say.
 */
double
dbperf_machine_memory_kb(void)
{
	double memory = number_in_file("/proc/meminfo", "MemTotal:");
	double limit = number_in_file("/sys/fs/cgroup/memory.max", "") / 1024;

	if (limit == 0)
		limit = number_in_file("/sys/fs/cgroup/memory/memory.limit_in_bytes", "") / 1024;
	return limit > 0 && (memory == 0 || limit < memory) ? limit : memory;
}

/*
 * Processors that are there; 0 if the system does not say.
 */
int
dbperf_machine_processors(void)
{
#ifdef _SC_NPROCESSORS_ONLN
	long processors = sysconf(_SC_NPROCESSORS_ONLN);

	return processors > 0 ? (int) processors : 0;
#else
	return 0;
#endif
}
