package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// How long a client waits: a director that hangs still accepts connections. Lookups and changes may
// take their time (a move that is waited for up to 40 s); queries are answered from memory.
const (
	connectTimeout = 5 * time.Second
	queryTimeout   = 15 * time.Second
	changeTimeout  = 150 * time.Second
)

// maxResponse bounds the responses that are read as a whole.
const maxResponse = 64 << 20

// Client asks one director. It is safe for concurrent use. Errors are *Error when the director
// reported one, *UnreachableError when there is no director, and *ProtocolError when something else
// answered.
type Client struct {
	addr         string // as given, for messages
	base         string
	credentials  Credentials
	http         *http.Client
	queryTimeout time.Duration
}

// NewClient returns a client of the director at addr: a unix socket path, host:port or URL. It does
// not connect yet.
func NewClient(addr string) (*Client, error) { return NewClientAs(addr, Credentials{}) }

// NewClientAs is NewClient with credentials, which go to https:// URLs only: for any other address
// a user or certificate is an error.
func NewClientAs(addr string, credentials Credentials) (*Client, error) {
	a, err := parseAddress(addr)
	if err != nil {
		return nil, err
	}
	if (credentials.User != "" || credentials.Certificate != nil) && !OverHTTPS(addr) {
		return nil, fmt.Errorf("director address %q: a user or a certificate is shown over HTTPS "+
			"only; give https://HOST:PORT", addr)
	}
	dialer := &net.Dialer{Timeout: connectTimeout}
	transport := &http.Transport{
		DialContext: dialer.DialContext, DisableCompression: true,
		ResponseHeaderTimeout: changeTimeout,
		TLSClientConfig:       credentials.clientTLS(), TLSHandshakeTimeout: connectTimeout,
	}
	if a.network != "" {
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, a.network, a.dial)
		}
	}
	return &Client{
		addr: addr, base: a.base, credentials: credentials, queryTimeout: queryTimeout,
		http: &http.Client{
			Transport: transport,
			// Nobody else gets the credentials.
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Self asks the director about itself.
func (c *Client) Self(ctx context.Context) (Self, error) {
	return get[Self](ctx, c, "/v1/director", nil)
}

// Directors asks for the mesh as the director sees it.
func (c *Client) Directors(ctx context.Context) (Directors, error) {
	return get[Directors](ctx, c, "/v1/directors", nil)
}

// Keys asks for the ids of the director's keys.
func (c *Client) Keys(ctx context.Context) (Keys, error) {
	return get[Keys](ctx, c, "/v1/keys", nil)
}

// Pins asks for the users who are pinned.
func (c *Client) Pins(ctx context.Context) (Pins, error) {
	return get[Pins](ctx, c, "/v1/pins", nil)
}

// Backends asks for the table.
func (c *Client) Backends(ctx context.Context) (Backends, error) {
	return get[Backends](ctx, c, "/v1/backends", nil)
}

// Names asks what the directors see of the names of backends.
func (c *Client) Names(ctx context.Context) (Names, error) {
	return get[Names](ctx, c, "/v1/names", nil)
}

// Balance asks how load is evened out.
func (c *Client) Balance(ctx context.Context) (Balance, error) {
	return get[Balance](ctx, c, "/v1/balance", nil)
}

// Health asks what the directors see of the backends.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, "/v1/health", nil)
}

// User asks where a user is and would be, without recording anything.
func (c *Client) User(ctx context.Context, name, tag string) (User, error) {
	if err := checkText("user", name); err != nil {
		return User{}, err
	}
	return get[User](ctx, c, "/v1/user", url.Values{"name": {name}, "tag": {tag}})
}

// History asks for admin changes.
func (c *Client) History(ctx context.Context, q HistoryQuery) (History, error) {
	return get[History](ctx, c, "/v1/history", q.values())
}

// UserHistory asks where a user was, and at a moment if that is not zero.
func (c *Client) UserHistory(
	ctx context.Context, name string, at time.Time, q HistoryQuery,
) (UserHistory, error) {
	if err := checkText("user", name); err != nil {
		return UserHistory{}, err
	}
	query := q.values()
	query.Set("name", name)
	if !at.IsZero() {
		query.Set("at", at.UTC().Format(time.RFC3339Nano))
	}
	return get[UserHistory](ctx, c, "/v1/history/user", query)
}

// Sessions asks for the sessions on all directors.
func (c *Client) Sessions(ctx context.Context, q SessionsQuery) (Sessions, error) {
	if err := checkText("user", q.User); err != nil {
		return Sessions{}, err
	}
	query := url.Values{}
	if q.User != "" {
		query.Set("name", q.User)
	}
	if q.Backend.IsValid() {
		query.Set("backend", q.Backend.String())
	}
	return get[Sessions](ctx, c, "/v1/sessions", query)
}

// Doctor asks what is wrong with the mesh.
func (c *Client) Doctor(ctx context.Context) (Checkup, error) {
	return get[Checkup](ctx, c, "/v1/doctor", nil)
}

// Settings asks for the settings, without what may be secret.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	return get[Settings](ctx, c, "/v1/settings", nil)
}

// Raw asks for whatever is at a path, which may have a query.
func (c *Client) Raw(ctx context.Context, path string) ([]byte, error) {
	path, query, _ := strings.Cut(path, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	limited, cancel := context.WithTimeout(ctx, c.queryTimeout)
	defer cancel()
	r, err := c.send(limited, http.MethodGet, path, values, nil)
	if err == nil {
		defer r.body.Close()
		var raw []byte
		if raw, err = io.ReadAll(io.LimitReader(r.body, maxResponse)); err == nil {
			return raw, nil
		}
		err = &UnreachableError{Addr: c.addr, Err: err}
	}
	if limited.Err() != nil && ctx.Err() == nil {
		err = &UnreachableError{Addr: c.addr, Err: limited.Err()}
	}
	return nil, err
}

// Flushes asks for the flushes that run or have lately ended.
func (c *Client) Flushes(ctx context.Context) (Flushes, error) {
	return get[Flushes](ctx, c, "/v1/flushes", nil)
}

// Lookup asks for a user's backend as a proxy does.
func (c *Client) Lookup(ctx context.Context, r LookupRequest) (LookupAnswer, error) {
	if err := checkText("user", r.User); err != nil {
		return LookupAnswer{}, err
	}
	return post[LookupAnswer](ctx, c, "/v1/lookup", r)
}

// Do carries out an operation. It returns when every live director has applied it.
func (c *Client) Do(ctx context.Context, op Operation) (Outcome, error) {
	return post[Outcome](ctx, c, op.Path(), op)
}

// DoIf is Do on the condition that the table has a digest, see Plan.Table; "" is no condition.
func (c *Client) DoIf(ctx context.Context, op Operation, table string) (Outcome, error) {
	path := op.Path()
	if table != "" {
		path += "?" + url.Values{"if_plan": {table}}.Encode()
	}
	return post[Outcome](ctx, c, path, op)
}

// Plan asks what an operation would do. PlanPath says of which operations there are plans.
func (c *Client) Plan(ctx context.Context, op Operation) (Plan, error) {
	return post[Plan](ctx, c, PlanPath(op), op)
}

func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	limited, cancel := context.WithTimeout(ctx, c.queryTimeout)
	defer cancel()
	value, err := whole[T](c.send(limited, http.MethodGet, path, query, nil))
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return value, &UnreachableError{Addr: c.addr, Err: limited.Err()}
	}
	return value, err
}

func post[T any](ctx context.Context, c *Client, path string, body any) (T, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		var none T
		return none, fmt.Errorf("encoding a request for %s: %w", path, err)
	}
	return whole[T](c.send(ctx, http.MethodPost, path, nil, bytes.NewReader(raw)))
}

// response is a successful response with its client, for messages.
type response struct {
	client *Client
	body   io.ReadCloser
}

// send makes a request; any answer but a success becomes an error.
func (c *Client) send(
	ctx context.Context, method, path string, query url.Values, body io.Reader,
) (response, error) {
	target := c.base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return response{}, fmt.Errorf("making a request for %s: %w", path, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	c.credentials.authorize(req)
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, c.transportError(ctx, err)
	}
	if resp.StatusCode < 300 {
		return response{client: c, body: resp.Body}, nil
	}
	defer resp.Body.Close()
	// what is missing makes the decoding fail
	raw, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	var failure Failure
	if json.Unmarshal(raw, &failure) != nil || failure.Error == nil || failure.Error.Code == "" {
		reason := "HTTP status " + strconv.Itoa(resp.StatusCode) + " for " + path
		if strings.Contains(string(raw), "HTTP request to an HTTPS server") { // net/http's words
			reason = "it speaks HTTPS; give its address as https://HOST:PORT"
		}
		return response{}, &ProtocolError{Addr: c.addr, Reason: reason}
	}
	if failure.Error.Code == CodeUnauthorized {
		failure.Error.Message = c.credentials.needed(failure.Error.Message)
	}
	failure.Error.Message = Visible(failure.Error.Message) // one line, whatever it says
	return response{}, failure.Error
}

// transportError distinguishes a director that is not there from something that is, but does not
// speak HTTP.
func (c *Client) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if untrusted := notTrusted(err); untrusted != nil {
		return &UnreachableError{Addr: c.addr, Err: untrusted}
	}
	var op *net.OpError
	if errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) {
		return &UnreachableError{Addr: c.addr, Err: err}
	}
	// an error of net/http's that has no name
	if strings.HasSuffix(err.Error(), "server closed idle connection") {
		return &UnreachableError{Addr: c.addr, Err: io.EOF}
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		return &UnreachableError{Addr: c.addr, Err: err}
	}
	if OverHTTPS(c.base) {
		return &ProtocolError{Addr: c.addr, Reason: "it does not speak HTTPS"}
	}
	return &ProtocolError{Addr: c.addr, Reason: "it does not speak HTTP"}
}

// whole decodes a response of one JSON value.
func whole[T any](r response, err error) (T, error) {
	var value T
	if err != nil {
		return value, err
	}
	defer r.body.Close()
	raw, err := io.ReadAll(io.LimitReader(r.body, maxResponse))
	if err != nil {
		return value, &UnreachableError{Addr: r.client.addr, Err: err}
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, &ProtocolError{
			Addr: r.client.addr, Reason: "its answer is not JSON of a director",
		}
	}
	return value, nil
}
