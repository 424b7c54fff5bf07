package cpython

import (
	"flag"
	"os"
	"strings"
)

// Go's own copy of the arguments is a copy of the pointers. Python packages such as setproctitle write the process's
// title over the memory that the pointers are to. So the strings get memory of their own, before flag.Parse cuts
// its values from them. Go's environment is a copy.
func init() {
	for i, s := range os.Args {
		os.Args[i] = strings.Clone(s)
	}
	flag.CommandLine.Init(strings.Clone(flag.CommandLine.Name()), flag.CommandLine.ErrorHandling())
}
