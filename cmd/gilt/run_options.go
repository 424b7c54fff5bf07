package main

import (
	"fmt"

	"gilt/internal/cpython"
)

// The options of python3 that count, and those that set or clear a flag.
var (
	counted = map[byte]string{'O': "optimization_level", 'b': "bytes_warning", 'v': "verbose"}
	set     = map[byte]string{'q': "quiet", 'I': "isolated"}
	cleared = map[byte]string{'u': "buffered_stdio", 'E': "use_environment", 'B': "write_bytecode", 's': "user_site_directory", 'S': "site_import"}
	instead = map[byte]string{
		'i': "gilt run has no prompt: use python3 -i",
		'P': "set PYTHONSAFEPATH=1",
		'x': "remove the script's first line",
		'd': "only python3 itself debugs its parser",
	}
)

// options sets the options of one argument of python3, such as -bb or -OuW error, and says how many of rest are their value.
func (a *app) options(arg string, rest []string) (used int, err error) {
	if arg == "--version" {
		a.version = 1
		return 0, nil
	}
	for i := 1; i < len(arg); i++ {
		o := arg[i]
		switch {
		case counted[o] != "":
			if a.counts == nil {
				a.counts = map[string]int{}
			}
			a.counts[counted[o]]++
			cpython.SetFlag(counted[o], a.counts[counted[o]])
		case set[o] != "":
			cpython.SetFlag(set[o], 1)
		case cleared[o] != "":
			cpython.SetFlag(cleared[o], 0)
		case o == 'V':
			a.version++
		case o == 'W' || o == 'X':
			value := arg[i+1:]
			if value == "" {
				if len(rest) == 0 {
					return 0, fmt.Errorf("-%c needs a value", o)
				}
				value, used = rest[0], 1
			}
			if o == 'X' && value == "dev" {
				cpython.SetFlag("dev_mode", 1)
			}
			if !cpython.AddOption(o, value) {
				return 0, fmt.Errorf("too many options -%c: give 64 at most", o)
			}
			return used, nil
		case instead[o] != "":
			return 0, fmt.Errorf("option -%c of python3 does not work here: %s", o, instead[o])
		case o == 'c' || o == 'm':
			return 0, fmt.Errorf("give -%c apart from other options: %s -%c", o, arg[:i], o)
		default:
			return 0, fmt.Errorf("unknown option %s: options of the program go behind FILE", arg)
		}
	}
	return 0, nil
}
