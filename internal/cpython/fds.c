// The descriptors that the process was started with. Go's runtime opens /dev/null in place of a stdin, stdout
// or stderr that is closed, before any Go code runs, so that only a constructor can tell: the C library runs
// it before the program's entry, which is Go's.
#include "gilt.h"
#include <fcntl.h>
#include <unistd.h>

static int stdout_was_closed;

__attribute__((constructor)) static void look_at_stdout(void) { stdout_was_closed = fcntl(STDOUT_FILENO, F_GETFD) == -1; }

int gilt_stdout_was_closed(void) { return stdout_was_closed; }
