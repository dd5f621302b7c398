package aliyun

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aliyun/alibaba-cloud-sdk-go/sdk/auth/credentials"

	"github.com/flip-cli/flip/pkg/hint"
	"github.com/flip-cli/flip/pkg/secret"
)

// who yields the credentials of the next call.
type who struct {
	account  Account
	secrets  *secret.Resolver
	mu       sync.Mutex                      // held while a provider works
	provider credentials.CredentialsProvider // of the SDK; kept once it worked
	refs     credentials.Credentials         // values of references
	read     time.Time                       // when

	known sync.Mutex
	name  string   // of who asked last, for people
	seen  []string // every secret value there was
}

// keepRefs is how long the values of references are used before they are read
// again, so that a command is not run for each call.
const keepRefs = time.Minute

// get returns the credentials. The SDK's providers ask files, the metadata
// service and STS without a context, hence the goroutine.
func (w *who) get(ctx context.Context) (credentials.Credentials, error) {
	if w.account.AccessKeyID != "" && w.account.Credentials.RoleARN == "" {
		return w.fromRefs(ctx)
	}
	type answer struct {
		cc  credentials.Credentials
		err error
	}
	done := make(chan answer, 1)
	go func() {
		cc, err := w.fromProvider(ctx)
		done <- answer{cc, err}
	}()
	select {
	case <-ctx.Done():
		return credentials.Credentials{}, ctx.Err()
	case a := <-done:
		return a.cc, a.err
	}
}

// forget makes the next call read the credentials anew: a token that has
// expired early, a key that was replaced.
func (w *who) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.provider, w.read = nil, time.Time{}
}

func (w *who) fromRefs(ctx context.Context) (credentials.Credentials, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.read.IsZero() && time.Since(w.read) < keepRefs {
		return w.refs, nil
	}
	cc, err := w.resolve(ctx)
	if err == nil {
		w.refs, w.read = cc, time.Now()
	}
	return cc, err
}

// resolve reads the plan's references.
func (w *who) resolve(ctx context.Context) (credentials.Credentials, error) {
	cc := credentials.Credentials{ProviderName: "plan"}
	if w.secrets == nil {
		return cc, errors.New("nobody resolves references here")
	}
	a := w.account
	for _, r := range []struct {
		ref  secret.Ref
		into *string
	}{{a.AccessKeyID, &cc.AccessKeyId}, {a.AccessKeySecret, &cc.AccessKeySecret}, {a.SecurityToken, &cc.SecurityToken}} {
		if r.ref == "" {
			continue
		}
		value, err := w.secrets.Resolve(ctx, r.ref)
		if err != nil {
			return cc, err
		}
		*r.into = strings.TrimSpace(value)
	}
	w.learn(cc)
	return cc, nil
}

func (w *who) fromProvider(ctx context.Context) (credentials.Credentials, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.provider
	if p == nil {
		var err error
		if p, err = w.open(ctx); err != nil {
			return credentials.Credentials{}, err
		}
	}
	cc, err := p.GetCredentials()
	if err != nil {
		// The SDK's chain forgets all but its last reason after the first try.
		w.provider = nil
		return credentials.Credentials{}, w.noCredentials(err)
	}
	w.provider = p
	w.learn(*cc)
	return *cc, nil
}

// open makes the provider that the plan names.
func (w *who) open(ctx context.Context) (credentials.CredentialsProvider, error) {
	c := w.account.Credentials
	base, err := w.base(ctx)
	if err != nil || c.RoleARN == "" {
		return base, err
	}
	return credentials.NewRAMRoleARNCredentialsProviderBuilder().
		WithCredentialsProvider(base).WithRoleArn(c.RoleARN).WithRoleSessionName("flip").
		WithStsRegion(w.account.Region).WithEnableVpc(w.account.Network == "vpc").Build()
}

func (w *who) base(ctx context.Context) (credentials.CredentialsProvider, error) {
	c := w.account.Credentials
	switch {
	case w.account.AccessKeyID != "":
		return &refsProvider{w, ctx}, nil
	case c.Profile != "":
		return credentials.NewCLIProfileCredentialsProviderBuilder().WithProfileName(c.Profile).Build(), nil
	case c.Env:
		return credentials.NewEnvironmentVariableCredentialsProvider(), nil
	case c.RAMRole != "":
		return credentials.NewECSRAMRoleCredentialsProviderBuilder().WithRoleName(c.RAMRole).Build()
	}
	return credentials.NewDefaultCredentialsProvider(), nil
}

// refsProvider gives the plan's key to the SDK, which assumes a role with it.
type refsProvider struct {
	w   *who
	ctx context.Context //nolint:containedctx // the SDK's interface has none
}

func (p *refsProvider) GetProviderName() string { return "plan" }

func (p *refsProvider) GetCredentials() (*credentials.Credentials, error) {
	cc, err := p.w.resolve(context.WithoutCancel(p.ctx))
	return &cc, err
}

// learn makes the values known to the redactor.
func (w *who) learn(cc credentials.Credentials) {
	w.known.Lock()
	defer w.known.Unlock()
	w.name = fmt.Sprintf("%s, key ...%s", cc.ProviderName, cc.AccessKeyId[max(0, len(cc.AccessKeyId)-4):])
	for _, v := range []string{cc.AccessKeyId, cc.AccessKeySecret, cc.SecurityToken} {
		if v == "" || slices.Contains(w.seen, v) {
			continue
		}
		w.seen = append(w.seen, v)
		if w.secrets != nil && w.secrets.Redactor != nil {
			w.secrets.Redactor.Add(v)
		}
	}
}

// hide replaces every secret value that this target ever had.
func (w *who) hide(text string) string {
	w.known.Lock()
	defer w.known.Unlock()
	for _, v := range w.seen {
		text = strings.ReplaceAll(text, v, "***")
	}
	return scrub(text)
}

// String names the provider and the end of the key: "default/env, key ...4F2a".
func (w *who) String() string {
	w.known.Lock()
	defer w.known.Unlock()
	return w.name
}

// absent is how the SDK says that a file is not there.
var absent = regexp.MustCompile(`(?:reading aliyun cli config from '[^']*' failed |ERROR: Can not open file)open (\S+): no such file or directory`)

// noCredentials explains why there are none. The SDK puts the whole file into
// its message when it cannot read it.
func (w *who) noCredentials(err error) error {
	text := err.Error()
	if i := strings.Index(text, "unmarshal aliyun cli config"); i >= 0 {
		text = text[:i] + "~/.aliyun/config.json is not JSON"
	}
	text = strings.NewReplacer(
		"unable to get credentials from any of the providers in the chain: ", "",
		"unable to get credentials from enviroment variables, ", "", //nolint:misspell // the SDK spells it so
		"Access key ID must be specified via environment variable (ALIBABA_CLOUD_ACCESS_KEY_ID)", "ALIBABA_CLOUD_ACCESS_KEY_ID is not set",
	).Replace(absent.ReplaceAllString(strings.Join(strings.Fields(text), " "), "$1 is not there"))
	return hint.Wrap(fmt.Errorf("no credentials: %s", scrub(text)),
		"set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, name credentials.profile, or access_key_id: ${env:NAME}")
}
