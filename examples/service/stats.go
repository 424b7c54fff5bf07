package main

import (
	"net/http"
	"time"

	"gilt/scheduler"
)

// statsAnswer is the body of GET /stats; times are in milliseconds.
type statsAnswer struct {
	Python  string       `json:"python"`
	Mode    string       `json:"mode"`
	All     classStats   `json:"all"`
	Classes []classStats `json:"classes"` // by name: the tenants, and what names none
	Lanes   []laneStats  `json:"lanes"`   // one for each GIL
}

type classStats struct {
	Name      string    `json:"name,omitempty"`
	Weight    float64   `json:"weight,omitempty"`
	Granted   uint64    `json:"granted"`
	HeldMS    float64   `json:"held_ms"`
	InFlight  int       `json:"in_flight"`
	Queued    int       `json:"queued"`
	Resuming  int       `json:"resuming"`
	Rejected  uint64    `json:"rejected"`  // answered 429, for a queue was full
	Shed      uint64    `json:"shed"`      // answered 429, after a wait: only with gilt.ClassConfig.TargetWait
	Late      uint64    `json:"late"`      // answered 504, before its deadline: it would have ended later
	Cancelled uint64    `json:"cancelled"` // answered 504, or their client has gone
	Waits     durations `json:"waits"`     // of the requests that had to wait
	Holds     durations `json:"holds"`     // of a sample
}

type durations struct {
	Count  uint64  `json:"count"`
	MeanMS float64 `json:"mean_ms"`
	P50MS  float64 `json:"p50_ms"`
	P99MS  float64 `json:"p99_ms"`
	MaxMS  float64 `json:"max_ms"`
}

type laneStats struct {
	Holder  string `json:"holder"` // the class whose turn it is, "" for none
	Waiting bool   `json:"waiting"`
}

func (s *service) stats(*http.Request) (any, error) {
	info, st := s.rt.Info(), s.rt.Stats()
	answer := statsAnswer{Python: info.Version, Mode: string(info.Mode), All: classOf(&st.All)}
	for i := range st.Classes {
		answer.Classes = append(answer.Classes, classOf(&st.Classes[i]))
	}
	for _, l := range st.Lanes {
		answer.Lanes = append(answer.Lanes, laneStats{l.Holder, l.Waiting})
	}
	return answer, nil
}

func classOf(c *scheduler.ClassStats) classStats {
	return classStats{
		Name: c.Name, Weight: c.Weight, Granted: c.Granted, HeldMS: ms(c.Held),
		InFlight: c.InFlight, Queued: c.Queued, Resuming: c.Resuming, Rejected: c.Rejected, Shed: c.Shed, Late: c.Late, Cancelled: c.Cancelled,
		Waits: durationsOf(&c.Waits), Holds: durationsOf(&c.Holds),
	}
}

func durationsOf(h *scheduler.Histogram) durations {
	return durations{h.Count(), ms(h.Mean()), ms(h.Quantile(0.5)), ms(h.Quantile(0.99)), ms(h.Quantile(1))}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
