package handles

import (
	"cmp"

	"gilt/internal/cpython"
)

// Str is a str: a sequence of Unicode code points, which may be lone surrogates. Bound.Text gives its text, Bound.Len its
// length in code points. The str's own methods take a str as a Go string or as a Str; what they make is a Str, which is no
// copy in Go.
type Str struct{ Bound }

func (Str) class() cpython.Class { return cpython.ClassStr }

// NewStr gives a str. UnicodeDecodeError when text is not UTF-8.
func NewStr(tok *Token, text string) (Str, error) { return made[Str](From(tok, text)) }

// str calls a method that gives a str.
func (s Str) str(op, name string, args ...any) (Str, error) {
	return castOf[Str](s.callBound(op, name, args))
}

// is calls a method that says whether.
func (s Str) is(op, name string, args ...any) (bool, error) {
	return callAs[bool](s.Bound, op, name, args)
}

// bounded are arguments before optional bounds.
func bounded(first any, bounds []int) []any { return append([]any{first}, values(bounds)...) }

// TextLossy gives the text, with U+FFFD in the place of each lone surrogate.
func (s Str) TextLossy() (string, error) {
	data, err := callBytes(s.Bound, "Str.TextLossy", "encode", "utf-8", "surrogatepass")
	for i := 0; i+2 < len(data); i++ {
		if data[i] == 0xed && data[i+1] >= 0xa0 { // a surrogate, and only that
			copy(data[i:], "\uFFFD")
		}
	}
	return string(data), err
}

// Encode is s.encode(encoding, errors): an empty encoding is "utf-8", and empty errors are "strict". UnicodeEncodeError for
// what the encoding does not have, LookupError when there is no such encoding.
func (s Str) Encode(encoding, errors string) (Bytes, error) {
	return castOf[Bytes](s.callBound("Str.Encode", "encode", []any{cmp.Or(encoding, "utf-8"), cmp.Or(errors, "strict")}))
}

// Slice is s[from:to], by code points.
func (s Str) Slice(from, to int) (Str, error) {
	return castOf[Str](sliced(s.Bound, "Str.Slice", from, to))
}

// Upper is s.upper().
func (s Str) Upper() (Str, error) { return s.str("Str.Upper", "upper") }

// Lower is s.lower().
func (s Str) Lower() (Str, error) { return s.str("Str.Lower", "lower") }

// CaseFold is s.casefold(): for comparison without regard to case.
func (s Str) CaseFold() (Str, error) { return s.str("Str.CaseFold", "casefold") }

// Title is s.title().
func (s Str) Title() (Str, error) { return s.str("Str.Title", "title") }

// Capitalize is s.capitalize().
func (s Str) Capitalize() (Str, error) { return s.str("Str.Capitalize", "capitalize") }

// SwapCase is s.swapcase().
func (s Str) SwapCase() (Str, error) { return s.str("Str.SwapCase", "swapcase") }

// Strip is s.strip(chars): of white space when chars is nil.
func (s Str) Strip(chars any) (Str, error) { return s.str("Str.Strip", "strip", chars) }

// Lstrip is s.lstrip(chars): of white space when chars is nil.
func (s Str) Lstrip(chars any) (Str, error) { return s.str("Str.Lstrip", "lstrip", chars) }

// Rstrip is s.rstrip(chars): of white space when chars is nil.
func (s Str) Rstrip(chars any) (Str, error) { return s.str("Str.Rstrip", "rstrip", chars) }

// RemovePrefix is s.removeprefix(prefix).
func (s Str) RemovePrefix(prefix any) (Str, error) {
	return s.str("Str.RemovePrefix", "removeprefix", prefix)
}

// RemoveSuffix is s.removesuffix(suffix).
func (s Str) RemoveSuffix(suffix any) (Str, error) {
	return s.str("Str.RemoveSuffix", "removesuffix", suffix)
}

// Replace is s.replace(from, to, count): all of them when count is negative.
func (s Str) Replace(from, to any, count int) (Str, error) {
	return s.str("Str.Replace", "replace", from, to, count)
}

// Translate is s.translate(table), where the table has code points: a dict, a Go map, or what has __getitem__.
func (s Str) Translate(table any) (Str, error) { return s.str("Str.Translate", "translate", table) }

// Split is s.split(sep, limit): at runs of white space when sep is nil, everywhere when limit is negative.
func (s Str) Split(sep any, limit int) (List, error) {
	return castOf[List](s.callBound("Str.Split", "split", []any{sep, limit}))
}

// Rsplit is s.rsplit(sep, limit), which counts from the end.
func (s Str) Rsplit(sep any, limit int) (List, error) {
	return castOf[List](s.callBound("Str.Rsplit", "rsplit", []any{sep, limit}))
}

// SplitLines is s.splitlines(keepEnds).
func (s Str) SplitLines(keepEnds bool) (List, error) {
	return castOf[List](s.callBound("Str.SplitLines", "splitlines", []any{keepEnds}))
}

// Partition is s.partition(sep): what is before the first sep, sep, and what is after it.
func (s Str) Partition(sep any) (Tuple, error) {
	return castOf[Tuple](s.callBound("Str.Partition", "partition", []any{sep}))
}

// Rpartition is s.rpartition(sep): what is before the last sep, sep, and what is after it.
func (s Str) Rpartition(sep any) (Tuple, error) {
	return castOf[Tuple](s.callBound("Str.Rpartition", "rpartition", []any{sep}))
}

// Join is s.join(items), of a Go []string or any Python iterable.
func (s Str) Join(items any) (Str, error) { return s.str("Str.Join", "join", items) }

// Format is s.format(*args): the last ones may be keyword arguments, as for a Call.
func (s Str) Format(args ...any) (Str, error) { return s.str("Str.Format", "format", args...) }

// FormatMap is s.format_map(mapping).
func (s Str) FormatMap(mapping any) (Str, error) {
	return s.str("Str.FormatMap", "format_map", mapping)
}

// Ljust is s.ljust(width, fill).
func (s Str) Ljust(width int, fill rune) (Str, error) {
	return s.str("Str.Ljust", "ljust", width, string(fill))
}

// Rjust is s.rjust(width, fill).
func (s Str) Rjust(width int, fill rune) (Str, error) {
	return s.str("Str.Rjust", "rjust", width, string(fill))
}

// Center is s.center(width, fill).
func (s Str) Center(width int, fill rune) (Str, error) {
	return s.str("Str.Center", "center", width, string(fill))
}

// Zfill is s.zfill(width).
func (s Str) Zfill(width int) (Str, error) { return s.str("Str.Zfill", "zfill", width) }

// ExpandTabs is s.expandtabs(size).
func (s Str) ExpandTabs(size int) (Str, error) { return s.str("Str.ExpandTabs", "expandtabs", size) }

// Find is s.find(sub, *bounds): the index of the first one, by code points, or -1. Bounds are a start, and an end.
func (s Str) Find(sub any, bounds ...int) (int, error) {
	return callAs[int](s.Bound, "Str.Find", "find", bounded(sub, bounds))
}

// Rfind is s.rfind(sub, *bounds): the index of the last one, or -1.
func (s Str) Rfind(sub any, bounds ...int) (int, error) {
	return callAs[int](s.Bound, "Str.Rfind", "rfind", bounded(sub, bounds))
}

// Index is s.index(sub, *bounds): Find with a ValueError when there is none.
func (s Str) Index(sub any, bounds ...int) (int, error) {
	return callAs[int](s.Bound, "Str.Index", "index", bounded(sub, bounds))
}

// Rindex is s.rindex(sub, *bounds): Rfind with a ValueError when there is none.
func (s Str) Rindex(sub any, bounds ...int) (int, error) {
	return callAs[int](s.Bound, "Str.Rindex", "rindex", bounded(sub, bounds))
}

// Count is s.count(sub, *bounds).
func (s Str) Count(sub any, bounds ...int) (int, error) {
	return callAs[int](s.Bound, "Str.Count", "count", bounded(sub, bounds))
}

// StartsWith is s.startswith(prefix, *bounds): prefix may be a tuple of some.
func (s Str) StartsWith(prefix any, bounds ...int) (bool, error) {
	return s.is("Str.StartsWith", "startswith", bounded(prefix, bounds)...)
}

// EndsWith is s.endswith(suffix, *bounds): suffix may be a tuple of some.
func (s Str) EndsWith(suffix any, bounds ...int) (bool, error) {
	return s.is("Str.EndsWith", "endswith", bounded(suffix, bounds)...)
}

// IsAlpha is s.isalpha().
func (s Str) IsAlpha() (bool, error) { return s.is("Str.IsAlpha", "isalpha") }

// IsAlnum is s.isalnum().
func (s Str) IsAlnum() (bool, error) { return s.is("Str.IsAlnum", "isalnum") }

// IsASCII is s.isascii().
func (s Str) IsASCII() (bool, error) { return s.is("Str.IsASCII", "isascii") }

// IsDecimal is s.isdecimal().
func (s Str) IsDecimal() (bool, error) { return s.is("Str.IsDecimal", "isdecimal") }

// IsDigit is s.isdigit().
func (s Str) IsDigit() (bool, error) { return s.is("Str.IsDigit", "isdigit") }

// IsNumeric is s.isnumeric().
func (s Str) IsNumeric() (bool, error) { return s.is("Str.IsNumeric", "isnumeric") }

// IsIdentifier is s.isidentifier(), to which a keyword is one too.
func (s Str) IsIdentifier() (bool, error) { return s.is("Str.IsIdentifier", "isidentifier") }

// IsLower is s.islower().
func (s Str) IsLower() (bool, error) { return s.is("Str.IsLower", "islower") }

// IsUpper is s.isupper().
func (s Str) IsUpper() (bool, error) { return s.is("Str.IsUpper", "isupper") }

// IsTitle is s.istitle().
func (s Str) IsTitle() (bool, error) { return s.is("Str.IsTitle", "istitle") }

// IsSpace is s.isspace().
func (s Str) IsSpace() (bool, error) { return s.is("Str.IsSpace", "isspace") }

// IsPrintable is s.isprintable().
func (s Str) IsPrintable() (bool, error) { return s.is("Str.IsPrintable", "isprintable") }
