package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is the command line of the program with these arguments.
func program(t *testing.T, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	cmd = exec.CommandContext(ctx, self, args...)
	cmd.Env = append(os.Environ(), "SERVICE_TEST_MAIN=1")
	stderr = new(bytes.Buffer)
	cmd.Stderr = stderr
	return cmd, stderr
}

// running is the program as it serves.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	url    string // for tenants
	admin  string // of /stats
}

func start(t *testing.T, args ...string) *running {
	t.Helper()
	cmd, stderr := program(t, append(args, "-addr", "127.0.0.1:0")...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewReader(stdout)
	line, _ := said.ReadString('\n')
	url, listens := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !listens {
		_ = cmd.Wait()
		t.Fatalf("it said %q: %s", line, stderr)
	}
	line, _ = said.ReadString('\n')
	return &running{t, cmd, stderr, url, strings.TrimPrefix(strings.TrimSpace(line), "stats on ")}
}

// signal sends the signal; end waits for the program and gives its exit code.
func (p *running) signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *running) end() int {
	_ = p.cmd.Wait()
	return p.cmd.ProcessState.ExitCode()
}

type answer struct {
	status int
	body   string
	err    error
}

// score posts for the tenant acme, with ms of computing.
func (p *running) score(ms string) answer {
	body := strings.Replace(likely, "{", `{"ms": `+ms+`, `, 1)
	r, err := http.NewRequest(http.MethodPost, p.url+"/score", strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	r.Header.Set("X-Tenant", "acme")
	return send(r)
}

func send(r *http.Request) answer {
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), err}
}

// awaitAtPython returns when n requests of acme's have come to the scheduler, served ones included.
func (p *running) awaitAtPython(n int) {
	p.t.Helper()
	for {
		resp, err := http.Get(p.admin)
		if err != nil {
			p.t.Fatal(err)
		}
		var st statsAnswer
		err = json.NewDecoder(resp.Body).Decode(&st)
		resp.Body.Close()
		if err != nil {
			p.t.Fatal(err)
		}
		for _, c := range st.Classes {
			if c.Name == "acme" && int(c.Granted)+c.Queued >= n {
				return
			}
		}
	}
}

func TestProgram(t *testing.T) {
	p := start(t)
	if a := p.score("1"); a.status != http.StatusOK || !strings.Contains(a.body, `{"score":0.3612`) {
		t.Errorf("score: %+v", a)
	}
	for url, says := range map[string]string{p.url + "/healthz": `{"status":"ok"}`, p.admin: `"name":"acme"`} {
		r, _ := http.NewRequest(http.MethodGet, url, nil)
		if a := send(r); a.status != http.StatusOK || !strings.Contains(a.body, says) {
			t.Errorf("%s: %+v", url, a)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, p.url+"/stats", nil)
	if a := send(r); a.status != http.StatusNotFound {
		t.Errorf("tenants get the stats: %+v", a)
	}
	p.signal(os.Interrupt)
	if code := p.end(); code != 0 || !strings.Contains(p.stderr.String(), "shutting down") {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
}

// Requests that are inside Python or wait for it when the signal comes are answered, and so is one of
// which only the head has arrived.
func TestShutdownAnswersWhatIsInFlight(t *testing.T) {
	const n = 12
	p := start(t, "-deadline", "1m", "-grace", "2m")
	head, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer head.Close()
	if _, err := fmt.Fprintf(head, "POST /score HTTP/1.1\r\nHost: x\r\nX-Tenant: acme\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(likely)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(head)
	if line, err := in.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatal(line, err)
	}
	answers := make(chan answer, n)
	for range n {
		go func() { answers <- p.score("50") }()
	}
	p.awaitAtPython(n)
	p.signal(syscall.SIGTERM)
	for range n {
		if a := <-answers; a.err != nil || a.status != http.StatusOK {
			t.Errorf("%+v", a)
		}
	}
	if _, err := io.WriteString(head, likely); err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if err != nil || !strings.Contains(string(rest), "HTTP/1.1 200 OK") || !strings.Contains(string(rest), `{"score":0.3612`) {
		t.Errorf("%v, %s", err, rest)
	}
	if code := p.end(); code != 0 {
		t.Fatalf("exit code %d: %s", code, p.stderr)
	}
}

// What Python computes for longer than the grace is cut off, and named.
func TestShutdownGivesUp(t *testing.T) {
	p := start(t, "-grace", "20ms", "-deadline", "1m")
	answers := make(chan answer, 1)
	go func() { answers <- p.score("1000") }()
	p.awaitAtPython(1)
	p.signal(syscall.SIGTERM)
	code := p.end()
	if said := p.stderr.String(); code != 1 || !strings.Contains(said, "requests were cut off") || !strings.Contains(said, `1 of class "acme"`) {
		t.Errorf("exit code %d: %s", code, said)
	}
	if a := <-answers; a.err == nil {
		t.Errorf("%+v", a)
	}
}

func TestBadUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"-help"}, 0, "usage: service"},
		{"unknown flag", []string{"-x"}, 1, "-help lists the flags"},
		{"an argument", []string{"x"}, 1, `unexpected argument "x"`},
		{"no deadline", []string{"-deadline", "0s"}, 1, "give a time above 0"},
		{"no grace", []string{"-grace", "-1s"}, 1, "give a time above 0"},
		{"no queue", []string{"-queue", "0"}, 1, "-queue 0: give 1 or more"},
		{"a queue without end", []string{"-queue", "9999999999"}, 1, "Config.MaxQueued 9999999999"},
		{"no address", []string{"-addr", "nowhere"}, 1, "-addr nowhere: "},
		{"no admin address", []string{"-admin", "nowhere"}, 1, "-admin nowhere: "},
		{"an address in use", []string{"-addr", l.Addr().String()}, 1, "address already in use"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd, stderr := program(t, append([]string{"-addr", "127.0.0.1:0"}, c.args...)...)
			_ = cmd.Run()
			code := cmd.ProcessState.ExitCode()
			if code != c.code || !strings.Contains(stderr.String(), c.says) || code == 1 && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("exit code %d: %s", code, stderr)
			}
		})
	}
}
