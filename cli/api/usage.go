package api

import (
	"bufio"
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Usage is what a director's process uses of its machine. What cannot be measured is zero.
type Usage struct {
	CPU    time.Duration // of all processors since the process began
	Memory int64         // resident, in bytes
}

// Usage asks the director what its process uses.
func (c *Client) Usage(ctx context.Context) (Usage, error) {
	ctx, cancel := context.WithTimeout(ctx, c.queryTimeout)
	defer cancel()
	var u Usage
	r, err := c.send(ctx, http.MethodGet, "/metrics", nil, nil)
	if err != nil {
		return u, err
	}
	defer r.body.Close()
	lines := bufio.NewScanner(r.body)
	for lines.Scan() {
		name, text, _ := strings.Cut(lines.Text(), " ")
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			continue // a comment, or a metric whose labels have blanks
		}
		switch name {
		case "process_cpu_seconds_total":
			u.CPU = time.Duration(value * float64(time.Second))
		case "process_resident_memory_bytes":
			u.Memory = int64(value)
		}
	}
	if err := lines.Err(); err != nil {
		return Usage{}, &UnreachableError{Addr: c.addr, Err: err}
	}
	return u, nil
}
