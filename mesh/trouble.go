package mesh

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"directormesh/mesh/wording"
)

// plainly words why a director cannot be reached: in one line, and so that it says what to look at.
// What comes from elsewhere than the network stays as it is.
func plainly(err error) string {
	var name *net.DNSError
	var network net.Error
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return "no address of that name is known here"
	case errors.As(err, &name):
		return "the name servers do not tell its address"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: does that director run, and is this its address?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "no way leads there: is the host up, and is this its address?"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded),
		errors.As(err, &network) && network.Timeout():
		return "no answer: is the host up, and does no filter drop what is sent there?"
	}
	return wording.Text(err.Error())
}
