package replica

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"
)

// benchDirectors are the sizes of the meshes in a benchmark, or what DIRECTORMESH_DIRECTORS says
// instead. The start of 500 takes a minute.
func benchDirectors(b *testing.B, usual ...int) []int {
	text := os.Getenv("DIRECTORMESH_DIRECTORS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		b.Fatalf("DIRECTORMESH_DIRECTORS: %v", err)
	}
	return []int{n}
}

// BenchmarkIdle is a mesh in which nothing happens. Each turn is a second of virtual time. Reports
// what a director sends in a second, and the milliseconds of CPU that it takes; and of the start of
// all directors together how long it took, in virtual time, and the kilobytes that a director sent.
func BenchmarkIdle(b *testing.B) {
	for _, directors := range benchDirectors(b, 3, 10, 50, 200) {
		b.Run(fmt.Sprintf("directors=%d", directors), func(b *testing.B) {
			f := newFleet(b, directors, 10, time.Millisecond, 15*time.Minute)
			start, startBytes := f.now.Sub(worldStart), 0
			for _, m := range f.members {
				startBytes += m.sent
			}
			f.run(2 * time.Second)
			f.meter()
			began, turns := cpuTime(b), 0
			for b.Loop() {
				f.run(time.Second)
				turns++
			}
			cpu := cpuTime(b) - began
			sent, messages := 0, 0
			for _, m := range f.members {
				sent += m.sent
				messages += m.messages
			}
			each := float64(directors) * float64(turns)
			b.ReportMetric(float64(sent)/each/1000, "KB/s")
			b.ReportMetric(float64(messages)/each, "messages/s")
			b.ReportMetric(cpu.Seconds()*1000/each, "cpu-ms/s")
			b.ReportMetric(start.Seconds()*1000, "start-ms")
			b.ReportMetric(float64(startBytes)/float64(directors)/1000, "startKB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
