package main

import (
	"context"
	"fmt"

	"gilt"
	_ "gilt/embedded"
)

func main() { _, err := gilt.Open(context.Background(), gilt.Config{}); fmt.Println(err) }
