package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"directormesh/mesh/wording"
)

// DefaultAddr is where commands look for a director.
const DefaultAddr = "/run/director/director.sock"

// address is where a director listens: a socket path or host:port, and the prefix of its URLs.
type address struct {
	network string // unix, tcp, or "" to let the URL decide
	dial    string
	base    string
}

// parseAddress reads what -a takes: the path of a unix socket (anything with a slash), host:port,
// or a URL.
func parseAddress(s string) (address, error) {
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		s = path
		if !strings.Contains(s, "/") {
			s = "./" + s
		}
	}
	switch {
	case s == "":
		return address{}, errors.New(
			`director address "" is empty; give a socket path, host:port or URL`)
	case strings.HasPrefix(s, "http://"), strings.HasPrefix(s, "https://"):
		u, err := url.Parse(s)
		if err != nil || u.Host == "" {
			return address{}, fmt.Errorf(
				"director address %q is not a URL; give one such as http://127.0.0.1:9091", s)
		}
		if u.User != nil {
			return address{}, errors.New("a user or password has no place in the address of a " +
				"director, which others can see; give --user and --password-file")
		}
		if u.RawQuery != "" || u.Fragment != "" {
			return address{}, fmt.Errorf(
				"director address %q: a query or fragment has no place here", s)
		}
		return address{base: strings.TrimSuffix(u.String(), "/")}, nil
	case strings.Contains(s, "://"):
		return address{}, fmt.Errorf("director address %q: only http and https URLs are known; "+
			"give one, a socket path or host:port", s)
	case strings.Contains(s, "/"):
		return address{network: "unix", dial: s, base: "http://director"}, nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil || host == "" || port == "" {
		return address{}, fmt.Errorf(
			"director address %q is neither a socket path, host:port nor a URL; give one of these",
			s)
	}
	return address{network: "tcp", dial: s, base: "http://" + s}, nil
}

// Endpoint returns where to connect to speak plain HTTP with the director at addr, which is written
// as for NewClient.
func Endpoint(addr string) (network, address string, err error) {
	a, err := parseAddress(addr)
	if err != nil || a.network != "" {
		return a.network, a.dial, err
	}
	u, err := url.Parse(a.base)
	if err != nil || u.Scheme != "http" || u.Path != "" {
		return "", "", fmt.Errorf("director address %q is not plain HTTP; give a socket path, "+
			"host:port or http://host:port", addr)
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return "tcp", net.JoinHostPort(u.Hostname(), port), nil
}

// explain says in words why a director could not be reached and what to do.
func explain(err error) string {
	const another = "pick another with -a or DIRECTOR_ADDR"
	var timeout net.Error
	var noHost *net.DNSError
	var untrusted tlsError
	switch {
	case errors.As(err, &untrusted):
		return untrusted.Error()
	case errors.Is(err, fs.ErrNotExist):
		return "no such file; is it running? " + another
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens there; is it running? " + another
	case errors.Is(err, fs.ErrPermission):
		return "permission denied; run this as the director's user or as root"
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &noHost):
		return "host " + noHost.Name + " cannot be resolved; " + another
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded):
		return "it did not answer in time; " + another
	}
	return Cause(err) + "; " + another
}

// Cause is the cause of an error without what Go's libraries put around it: the system's own words
// where the system refused, ours where a connection broke off or a name has no address. What was
// tried is for the caller to say.
func Cause(err error) string {
	var noHost *net.DNSError
	var timeout net.Error
	var number syscall.Errno
	var program *exec.Error
	switch {
	case errors.As(err, &noHost):
		return "host " + noHost.Name + " cannot be resolved"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection broke off"
	case errors.As(err, &number):
		return number.Error()
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.As(err, &program):
		err = program.Err
	}
	var address *url.Error
	var op *net.OpError
	var path *fs.PathError
	for {
		switch {
		case errors.As(err, &address):
			err = address.Err
		case errors.As(err, &op):
			err = op.Err
		case errors.As(err, &path):
			err = path.Err
		default:
			return wording.Text(err.Error())
		}
	}
}
