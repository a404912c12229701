package dovecot

import (
	"fmt"
	"testing"
)

// BenchmarkLists is what a connection costs in a list of Dovecot 2.4 and 2.3, reading from the
// socket left out.
func BenchmarkLists(b *testing.B) {
	const connections = 100_000
	anvil, ipc := make([][]byte, connections), make([][]byte, connections)
	for i := range connections {
		user := fmt.Sprintf("user%d@example.org\timap", i)
		client := fmt.Sprintf("198.51.100.%d", i%250)
		backend := fmt.Sprintf("10.0.0.%d", i%50)
		mark := fmt.Sprintf("%d@%s", i, backend)
		anvil[i] = fmt.Appendf(nil, "%d\t%s\t%s\t%032x\t%s\t%s",
			1000+i%20, user, client, i, backend, mark)
		ipc[i] = fmt.Appendf(nil, "%s\t%s\t%s\t143\t%s", user, client, backend, mark)
	}
	run := func(b *testing.B, lines [][]byte, begin func() func([]byte) error) {
		b.ReportAllocs()
		for b.Loop() {
			add := begin()
			for _, line := range lines {
				if err := add(line); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/connections, "ns/connection")
	}
	b.Run("anvil", func(b *testing.B) {
		run(b, anvil, func() func([]byte) error {
			return (&anvilList{names: []string{"user_director"}}).add
		})
	})
	b.Run("ipc", func(b *testing.B) {
		run(b, ipc, func() func([]byte) error {
			l := new(ipcList)
			const head = "username\tproto\tsrc-ip\tdest-ip\tdest-port\tuser_director"
			if err := l.add([]byte(head)); err != nil {
				b.Fatal(err)
			}
			return l.add
		})
	})
}
