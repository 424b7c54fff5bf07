package gilt_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"gilt"
	py "gilt/handles"
	"gilt/internal/pytest"
)

// The Python code in docs/limits.md runs.
func TestDocs_Limits(t *testing.T) {
	page, err := os.ReadFile("docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := regexp.MustCompile("(?ms)^```python\n(.*?)^```$").FindAllSubmatch(page, -1)
	if len(snippets) == 0 {
		t.Fatal("docs/limits.md has no Python code")
	}
	for i, s := range snippets {
		pytest.Do(t, func(tok *gilt.Token) {
			ns, err := py.NewDict(tok, map[string]any{"__name__": "limits"})
			if err == nil {
				err = py.RunFile(tok, string(s[1]), fmt.Sprintf("docs/limits.md, snippet %d", i+1), ns)
			}
			if err != nil {
				t.Errorf("%+v", err)
			}
		})
	}
}
