// python3's options, which are kept until Python starts: the variables that python3's own command line sets.
#include "objects.h"
#include <stdlib.h>
#include <wchar.h>

enum { MAX = 64 };
static struct { const char *name, *variable; int negated, set, value; } flags[] = {
	{.name = "isolated", .variable = "Py_IsolatedFlag"},
	{.name = "use_environment", .variable = "Py_IgnoreEnvironmentFlag", .negated = 1},
	{.name = "user_site_directory", .variable = "Py_NoUserSiteDirectory", .negated = 1},
	{.name = "site_import", .variable = "Py_NoSiteFlag", .negated = 1},
	{.name = "write_bytecode", .variable = "Py_DontWriteBytecodeFlag", .negated = 1},
	{.name = "buffered_stdio", .variable = "Py_UnbufferedStdioFlag", .negated = 1},
	{.name = "optimization_level", .variable = "Py_OptimizeFlag"},
	{.name = "bytes_warning", .variable = "Py_BytesWarningFlag"},
	{.name = "verbose", .variable = "Py_VerboseFlag"},
	{.name = "quiet", .variable = "Py_QuietFlag"},
	{.name = "dev_mode"}, // of -X dev; Python reads the other -X itself
};
enum { N = sizeof flags / sizeof *flags };
static char *lists[2][MAX]; // of -W and -X
static size_t lengths[2];

void gilt_set_flag(const char *name, int value) {
	for (int i = 0; i < N; i++)
		if (!strcmp(flags[i].name, name)) flags[i].set = 1, flags[i].value = value;
}

int gilt_add_option(int x, const char *text) {
	if (lengths[x] == MAX || !(lists[x][lengths[x]] = strdup(text))) return -1;
	lengths[x]++;
	return 0;
}

void gilt_options(int *dev_mode) {
	for (int i = 0; i < N; i++)
		if (flags[i].set && !strcmp(flags[i].name, "dev_mode")) *dev_mode = flags[i].value;
	static const char *const add[] = {"PySys_AddWarnOption", "PySys_AddXOption"};
	for (int i = 0; i < N; i++) {
		int *variable = flags[i].set && flags[i].variable ? gilt_symbol(flags[i].variable) : NULL;
		if (variable) *variable = flags[i].negated ? !flags[i].value : flags[i].value;
	}
	for (int x = 0; x < 2; x++) {
		void (*to)(const wchar_t *) = gilt_symbol(add[x]);
		for (size_t i = 0; to && i < lengths[x]; i++) to(py.Py_DecodeLocale(lists[x][i], NULL));
	}
}
