package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestPlainly(t *testing.T) {
	nobody, err := net.Listen("tcp", "127.0.63.2:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	_, refused := net.DialTimeout("tcp", nobody.Addr().String(), 10*time.Second)
	connecting := func(err error) error {
		return &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", err)}
	}
	for _, test := range []struct {
		err  error
		want string
	}{
		{refused, "nothing listens there"},
		{connecting(syscall.ENETUNREACH), "no way leads there"},
		{connecting(syscall.EHOSTUNREACH), "no way leads there"},
		{connecting(syscall.ETIMEDOUT), "no answer"},
		{fmt.Errorf("reading: %w", os.ErrDeadlineExceeded), "no answer"},
		{context.DeadlineExceeded, "no answer"},
		{&net.DNSError{Err: "no such host", Name: "d9", IsNotFound: true},
			"no address of that name"},
		{&net.DNSError{Err: "server misbehaving", Name: "d9", IsTemporary: true},
			"the name servers do not tell"},
		{errors.New("1 error occurred:\n\t* Failed to join 192.0.2.1: EOF\n\n"),
			"Failed to join 192.0.2.1: the connection broke off"},
	} {
		got := plainly(test.err)
		if !strings.HasPrefix(got, test.want) || strings.ContainsAny(got, "\n\t") {
			t.Errorf("%q is worded %q, want %q…", test.err, got, test.want)
		}
	}
}
