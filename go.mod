module gilt

go 1.26

require (
	github.com/kluctl/go-embed-python v0.0.0-3.14.6-20260610-1
	github.com/panjf2000/ants/v2 v2.12.1
	go.uber.org/goleak v1.3.0
	golang.org/x/sync v0.24.0
)
