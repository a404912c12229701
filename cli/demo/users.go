package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"directormesh/cli/api"
)

// loginEvery is the mean time between two logins of sample users.
const loginEvery = 200 * time.Millisecond

// User is the request of the n-th sample user. Each tenth is of the tag.
func User(n int, tag string) api.LookupRequest {
	r := api.LookupRequest{User: fmt.Sprintf("user%03d@example.org", n)}
	if n%10 == 0 {
		r.Tag = tag
	}
	return r
}

// LogIn has the first count sample users log in at random, through any of the directors, until ctx
// ends. A director that does not answer is passed over: proxies ask another one.
func LogIn(ctx context.Context, directors []*api.Client, count int, tag string, random *rand.Rand) {
	for {
		pause := time.Duration(random.ExpFloat64() * float64(loginEvery))
		select {
		case <-time.After(min(pause, 5*loginEvery)):
		case <-ctx.Done():
			return
		}
		user := User(random.IntN(count), tag)
		for range directors {
			if _, err := directors[random.IntN(len(directors))].Lookup(ctx, user); err == nil {
				break
			}
		}
	}
}
