package benchmarks

import (
	"encoding/json"
	"testing"
)

// A short service_flood: every request is answered, on both sides, and the figures are there.
func TestServiceFlood(t *testing.T) {
	out, errs, status := bench(t, "--json --rounds 1 --round-ms 5 --run ^service_flood$")
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %s", status, errs)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	for _, side := range []string{"", "raw_"} {
		if n, ok := r[side+"failures"].(float64); !ok || n != 0 {
			t.Errorf("%sfailures %v: %v", side, r[side+"failures"], r[side+"failure"])
		}
		p50, _ := r[side+"p50_us"].(float64)
		p99, _ := r[side+"p99_us"].(float64)
		most, _ := r[side+"max_us"].(float64)
		ops, _ := r[side+"ops_per_s"].(float64)
		if p50 < 1000 || p99 < p50 || most < p99 || ops <= 0 || ops > 400 {
			t.Errorf("%sp50_us %v, p99_us %v, max_us %v, ops_per_s %v", side, p50, p99, most, ops)
		}
		if n, _ := r[side+"flood_ops_per_s"].(float64); n <= 0 {
			t.Errorf("%sflood_ops_per_s %v", side, n)
		}
	}
}
