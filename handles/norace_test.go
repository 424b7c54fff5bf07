//go:build !race

package handles_test

const raceDetector = false
