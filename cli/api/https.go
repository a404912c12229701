package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Credentials are what a client trusts and shows over HTTPS. They go nowhere else.
type Credentials struct {
	Roots          *x509.CertPool   // who may sign the director's certificate; nil: the system's
	Certificate    *tls.Certificate // nil: none
	User, Password string           // "": none
}

// OverHTTPS reports whether an address, which is written as for NewClient, is reached over HTTPS.
func OverHTTPS(addr string) bool { return strings.HasPrefix(addr, "https://") }

// clientTLS is what the transport of a client needs.
func (c Credentials) clientTLS() *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.Roots}
	if c.Certificate != nil {
		// Sent even if the director does not name its authority: then that is the error.
		config.GetClientCertificate = func(
			*tls.CertificateRequestInfo,
		) (*tls.Certificate, error) {
			return c.Certificate, nil
		}
	}
	return config
}

// authorize gives a request the user and password.
func (c Credentials) authorize(r *http.Request) {
	if c.User != "" {
		r.SetBasicAuth(c.User, c.Password)
	}
}

// needed adds to the director's words what to give who it wants to know.
func (c Credentials) needed(message string) string {
	switch {
	case c.User != "":
		return message + "; look at --user and --password-file"
	case c.Certificate != nil:
		return message + "; look at --cert"
	}
	return message + "; give --user and --password-file, or --cert and --key"
}

// tlsError says in words why HTTPS failed, and what to do.
type tlsError string

func (e tlsError) Error() string { return string(e) }

// notTrusted says in words why TLS could not begin; nil if err is about something else.
func notTrusted(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var certificate *tls.CertificateVerificationError
	var alert *net.OpError
	switch {
	case errors.As(err, &unknown):
		return tlsError("no authority that is known here has signed its certificate; " +
			"give the authority's with --ca")
	case errors.As(err, &host):
		return tlsError(fmt.Sprintf("its certificate is not for %s, but for %s; use that name",
			host.Host, certificateNames(host.Certificate)))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return tlsError(fmt.Sprintf("its certificate is good from %s to %s only; "+
			"renew it, or look at this host's clock",
			day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter)))
	case errors.As(err, &certificate):
		return tlsError("its certificate cannot be used: " +
			strings.TrimPrefix(certificate.Err.Error(), "x509: "))
	case errors.As(err, &alert) && alert.Op == "remote error":
		return refusedByServer(strings.TrimPrefix(alert.Err.Error(), "tls: "))
	}
	return nil
}

// refusedByServer is about the alert with which a server ends a handshake.
func refusedByServer(alert string) error {
	switch alert {
	case "certificate required", "handshake failure":
		return tlsError("it wants a certificate; give --cert and --key")
	case "unknown certificate authority":
		return tlsError("it does not know the authority of the certificate in --cert")
	case "expired certificate":
		return tlsError("the certificate in --cert has expired")
	case "bad certificate":
		return tlsError("it does not take the certificate in --cert")
	}
	return tlsError("it ends the connection: " + alert)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// certificateNames lists the names that a certificate is for.
func certificateNames(c *x509.Certificate) string {
	names := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 {
		return "no name"
	}
	return strings.Join(names, ", ")
}
