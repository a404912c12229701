package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// maxLine bounds what an agent says, in bytes. HAProxy takes a buffer of 16 KB.
const maxLine = 1024

// Busy asks the agent at an address how busy its host is, in percent: 100 less what it says is
// idle, 0 at least.
func Busy(ctx context.Context, agent netip.AddrPort) (percent int, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", agent.String())
	if err != nil {
		return 0, fmt.Errorf("asking the agent: %w", err)
	}
	defer conn.Close()
	// An agent that goes on sending, or sends nothing, has the time of ctx.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(io.LimitReader(conn, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("asking the agent at %s: %w", agent, err)
	}
	idle, ok := parseIdle(line)
	if !ok {
		return 0, fmt.Errorf("the agent at %s says %q, without a percentage", agent, line)
	}
	return max(100-idle, 0), nil
}

// parseIdle returns the percentage in the line of an agent.
func parseIdle(line string) (percent int, ok bool) {
	line, _, _ = strings.Cut(line, "\r")
	for _, word := range strings.FieldsFunc(line, func(r rune) bool {
		return r == ' ' || r == ',' || r == '\t' || r == '\n'
	}) {
		number, isPercent := strings.CutSuffix(word, "%")
		n, err := strconv.ParseUint(number, 10, 16)
		if isPercent && err == nil {
			return int(n), true // over 100 too, as HAProxy takes it
		}
	}
	return 0, false
}
