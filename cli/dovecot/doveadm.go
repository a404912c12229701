package dovecot

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
)

// Doveadm asks backends themselves, by the HTTP API of their doveadm (cli/doc/backends.md). It is
// safe for concurrent use.
type Doveadm struct {
	port  uint16
	https bool
	key   string // as the header has it
	http  *http.Client
}

// maxAnswer bounds the answer of a backend: a list of a million sessions has 80 MB.
const maxAnswer = 128 << 20

// NewDoveadm returns a client of the API at one port of each backend, with the key that is their
// doveadm_api_key. Over HTTPS the backends' certificates are not verified: they are asked by their
// addresses.
func NewDoveadm(port uint16, https bool, key string) *Doveadm {
	return &Doveadm{
		port: port, https: https,
		key: "X-Dovecot-API " + base64.StdEncoding.EncodeToString([]byte(key)),
		http: &http.Client{
			Transport: &http.Transport{
				TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
				DisableKeepAlives: true, // Dovecot closes after each answer
			},
			// Nobody else gets the key.
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// List returns the sessions on a backend: of IMAP, POP3 and, from Dovecot 2.4 on, LMTP.
func (d *Doveadm) List(ctx context.Context, backend netip.Addr) ([]Connection, error) {
	answer, err := d.do(ctx, backend, "who", map[string]any{"separateConnections": true})
	if err != nil {
		return nil, err
	}
	defer answer.Close()
	connections, err := parseWho(io.LimitReader(answer, maxAnswer), backend)
	if err != nil {
		return nil, fmt.Errorf("asking doveadm of %s for sessions: %w", backend, err)
	}
	return connections, nil
}

// Kick asks a backend to end the sessions of a user. They end some milliseconds later, if they do:
// a list tells.
func (d *Doveadm) Kick(ctx context.Context, backend netip.Addr, user string) error {
	answer, err := d.do(ctx, backend, "kick", map[string]any{"mask": []string{user}})
	if err != nil {
		return err
	}
	return answer.Close()
}

// do gives a backend one command. One at a time: in the answer to several, Dovecot 2.3 forgets a
// comma behind an error.
func (d *Doveadm) do(
	ctx context.Context, backend netip.Addr, command string, parameters map[string]any,
) (io.ReadCloser, error) {
	failed := func(err error) error {
		return fmt.Errorf("asking doveadm of %s: %w", backend, err)
	}
	body, err := json.Marshal([]any{[]any{command, parameters, "director"}})
	if err != nil {
		return nil, failed(err)
	}
	scheme := "http"
	if d.https {
		scheme = "https"
	}
	url := scheme + "://" + netip.AddrPortFrom(backend, d.port).String() + "/doveadm/v1"
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, failed(err)
	}
	r.Header.Set("Authorization", d.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := d.http.Do(r)
	if err != nil {
		return nil, failed(err)
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, failed(fmt.Errorf("it answers with HTTP status %d", answer.StatusCode))
	}
	return answer.Body, nil
}

// whoSession is one session in the answer to who. All values are strings.
type whoSession struct {
	Username string `json:"username"`
	PID      string `json:"pid"`
}

var errAnswer = errors.New("the answer is not what doveadm gives")

// parseWho reads the answer to one who: [["doveadmResponse",[SESSION,…],"director"]].
func parseWho(in io.Reader, backend netip.Addr) ([]Connection, error) {
	decoder := json.NewDecoder(in)
	expect := func(delim json.Delim) error {
		token, err := decoder.Token()
		if err == nil && token != delim {
			err = errAnswer
		}
		return err
	}
	if err := errors.Join(expect('['), expect('[')); err != nil {
		return nil, err
	}
	kind, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if kind != "doveadmResponse" {
		return nil, whoError(decoder)
	}
	if err := expect('['); err != nil {
		return nil, err
	}
	var list connectionList
	for decoder.More() {
		var s whoSession
		if err := decoder.Decode(&s); err != nil {
			return nil, err
		}
		if len(s.Username) > maxLine {
			return nil, errAnswer
		}
		pid, _ := strconv.Atoi(s.PID)
		if err := list.add([]byte(s.Username), backend, pid, nil, nil); err != nil {
			return nil, err
		}
	}
	// The end shows that nothing is missing.
	if err := expect(']'); err != nil {
		return nil, err
	}
	if tag, err := decoder.Token(); err != nil || tag != "director" {
		return nil, errors.Join(err, errAnswer)
	}
	if err := errors.Join(expect(']'), expect(']')); err != nil {
		return nil, err
	}
	return list.connections, nil
}

// whoError reads what doveadm says instead of a list: {"type":"exitCode","exitCode":64}.
func whoError(decoder *json.Decoder) error {
	var said struct {
		Type     string `json:"type"`
		ExitCode int    `json:"exitCode"`
	}
	if err := decoder.Decode(&said); err != nil {
		return errAnswer
	}
	if len(said.Type) > 40 {
		said.Type = said.Type[:40]
	}
	return fmt.Errorf("it answers with the error %q, exit code %d", said.Type, said.ExitCode)
}
