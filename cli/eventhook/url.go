package eventhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"directormesh/cli/api"
)

const (
	postTime = 5 * time.Second
	// tries is how often an event is posted, at most; the first pause is twice as long each time.
	tries      = 5
	firstPause = time.Second
	// maxAnswer bounds what is read of an answer, so that the connection can be used again.
	maxAnswer = 64 << 10
)

// URL is an address to which events are posted.
type URL struct {
	url    url.URL
	client *http.Client
	pause  time.Duration
}

// ParseURL reads an address.
func ParseURL(text string) (*URL, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("is no URL; give http://HOST/PATH or https://HOST/PATH")
	}
	return &URL{
		url: *u, pause: firstPause,
		client: &http.Client{
			Timeout: postTime,
			// What is told goes nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}, nil
}

// String returns the address without what may be secret: user, password, path and query.
func (u *URL) String() string { return u.url.Scheme + "://" + u.url.Host }

func (u *URL) tell(ctx context.Context, _ api.Event, body []byte) error {
	pause := u.pause
	for try := 1; ; try++ {
		again, err := u.post(ctx, body)
		if err == nil || !again || try == tries {
			return err
		}
		select {
		case <-time.After(pause):
			pause *= 2
		case <-ctx.Done():
			return err
		}
	}
}

// post posts once. again says that it may work later.
func (u *URL) post(ctx context.Context, body []byte) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u.url.String(),
		bytes.NewReader(body))
	if err != nil {
		return false, errors.New("no request can be made for this URL")
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := u.client.Do(req)
	if err != nil {
		var at *url.Error // which has the whole address
		if errors.As(err, &at) {
			err = at.Err
		}
		return true, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxAnswer))
	switch status := resp.StatusCode; {
	case status/100 == 2:
		return false, nil
	case status == http.StatusTooManyRequests, status >= 500:
		return true, fmt.Errorf("it answers with status %d", status)
	default:
		return false, fmt.Errorf("it answers with status %d", status)
	}
}
