package webauth

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"strings"
	"time"
)

// allowed refuses a certificate that is not among client_allowed_sans. The library panics if there
// is none to look at.
func (p *Policy) allowed(raw [][]byte) error {
	if len(p.web.ClientAllowedSans) == 0 || len(raw) == 0 {
		return nil
	}
	if p.web.VerifyPeerCertificate(raw, nil) != nil {
		return errors.New("client certificate is not among client_allowed_sans")
	}
	return nil
}

// certificateNames returns the names in a client certificate, if this policy trusts it now: the
// connection may be older than the policy, and the certificate may have expired since.
func (p *Policy) certificateNames(state *tls.ConnectionState, now time.Time) []string {
	if p.clientCAs == nil || len(state.VerifiedChains) == 0 || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	options := x509.VerifyOptions{
		Roots: p.clientCAs, Intermediates: x509.NewCertPool(), CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(options); err != nil || p.allowed([][]byte{leaf.Raw}) != nil {
		return nil
	}
	return namesOf(leaf)
}

// namesOf returns the subject alternative names of a certificate, as settings write them. A name of
// one kind that looks like one of another kind is left out: an authority may sign one kind only.
func namesOf(c *x509.Certificate) (names []string) {
	add := func(san string, kind sanKind) {
		if name, k := normalSAN(san); k == kind {
			names = append(names, name)
		}
	}
	for _, san := range c.DNSNames {
		add(san, sanDNS)
	}
	for _, san := range c.EmailAddresses {
		add(san, sanEmail)
	}
	for _, ip := range c.IPAddresses {
		add(ip.String(), sanIP)
	}
	for _, uri := range c.URIs {
		add(uri.String(), sanURI)
	}
	return names
}

type sanKind int

const (
	sanNone sanKind = iota
	sanDNS
	sanEmail
	sanIP
	sanURI
)

// normalSAN returns a subject alternative name in the form in which names are compared, and its
// kind by its form; sanNone if it has none that people could write.
func normalSAN(san string) (string, sanKind) {
	if san == "" || strings.ContainsFunc(san, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", sanNone
	}
	if addr, err := netip.ParseAddr(san); err == nil {
		return addr.Unmap().String(), sanIP
	}
	if strings.Contains(san, ":") {
		return san, sanURI
	}
	if local, domain, ok := strings.Cut(san, "@"); ok {
		return local + "@" + strings.ToLower(domain), sanEmail
	}
	return strings.ToLower(san), sanDNS
}
