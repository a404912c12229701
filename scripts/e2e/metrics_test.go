//go:build e2e

package e2e

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// metrics are the values that a director shows, by name and labels as they stand there.
type metrics map[string]float64

// metricsOf asks a director for its metrics over its socket.
func metricsOf(t *testing.T, d *process) metrics {
	t.Helper()
	dialer := &net.Dialer{Timeout: 5 * time.Second}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", d.socket())
		},
	}
	defer transport.CloseIdleConnections()
	asker := &http.Client{Transport: transport, Timeout: commandTime}
	reply, err := asker.Get("http://director/metrics")
	if err != nil {
		t.Fatalf("metrics of %s: %v", d.name, err)
	}
	defer reply.Body.Close()
	all := make(metrics)
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		line := lines.Text()
		gap := strings.LastIndexByte(line, ' ')
		if gap < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if all[line[:gap]], err = strconv.ParseFloat(line[gap+1:], 64); err != nil {
			t.Fatalf("metrics of %s: %q: %v", d.name, line, err)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("metrics of %s: %v", d.name, err)
	}
	return all
}

// since returns by how much each value has grown, without those that have not.
func (m metrics) since(before metrics) metrics {
	grown := make(metrics)
	for name, value := range m {
		if value > before[name] {
			grown[name] = value - before[name]
		}
	}
	return grown
}

// sum adds up what a metric shows for these values of a label.
func (m metrics) sum(name, label string, values ...string) float64 {
	var sum float64
	for _, value := range values {
		sum += m[name+`{`+label+`="`+value+`"}`]
	}
	return sum
}

// total adds up what metrics of this name show for all labels.
func (m metrics) total(name string) float64 {
	var sum float64
	for of, value := range m {
		if of == name || strings.HasPrefix(of, name+"{") {
			sum += value
		}
	}
	return sum
}
