package nacostest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// dist is a server in the cache, as scripts/servers/nacos/fetch makes it.
type dist struct{ dir, classpath, main string }

// fetchReal runs that script, which does nothing but print the folder when the
// version is in the cache.
func fetchReal(ctx context.Context, version string) (dist, error) {
	script, err := scriptPath("scripts/servers/nacos/fetch")
	if err != nil {
		return dist{}, err
	}
	if _, err := exec.LookPath("java"); err != nil {
		return dist{}, fmt.Errorf("%w: java is not installed; scripts/deps javac installs it", ErrNotHere)
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Minute)
	defer cancel()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, script, version)
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 3 {
		return dist{}, fmt.Errorf("%w: %s", ErrNotHere, bytes.TrimSpace(said.Bytes()))
	}
	if err != nil {
		return dist{}, fmt.Errorf("%s %s: %w: %s", script, version, err, bytes.TrimSpace(said.Bytes()))
	}
	return readDist(strings.TrimSpace(string(out)))
}

func readDist(dir string) (dist, error) {
	classpath, err := os.ReadFile(filepath.Join(dir, "classpath"))
	if err != nil {
		return dist{}, err
	}
	class, err := os.ReadFile(filepath.Join(dir, "main"))
	if err != nil {
		return dist{}, err
	}
	return dist{dir, strings.TrimSpace(string(classpath)), strings.TrimSpace(string(class))}, nil
}

// scriptPath looks for the file from the working directory upwards: tests run
// in their package's directory.
func scriptPath(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not above the working directory", name)
		}
		dir = filepath.Dir(dir)
	}
}

// place chooses a port of which the others that Nacos derives are free too:
// Raft at -1000, gRPC of clients at +1000 and of the cluster at +1001. They
// are below the ports that systems give to clients (Linux: 32768). Another
// process can still take one before Nacos does, so RunReal tries again.
func (r *Real) place() error {
	for range 200 {
		port := 11000 + rand.IntN(19000)
		if free(port, port-1000, port+1000, port+1001) {
			r.port, r.GRPCPort = port, port+1000
			r.URL = "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			return nil
		}
	}
	return errors.New("found no port whose neighbours are free too")
}

// free asks for the wildcard address, as some of the server's listeners do.
func free(ports ...int) bool {
	for _, p := range ports {
		l, err := net.Listen("tcp", ":"+strconv.Itoa(p))
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

// writeConfig writes conf/application.properties. The keys of both generations
// are in it; each reads its own.
func (r *Real) writeConfig() error {
	auth := strconv.FormatBool(r.cfg.auth)
	lines := append([]string{
		"server.port=" + strconv.Itoa(r.port),
		"nacos.server.main.port=" + strconv.Itoa(r.port),
		"server.servlet.contextPath=/nacos",
		"nacos.server.contextPath=/nacos",
		"server.address=127.0.0.1",
		"nacos.inetutils.ip-address=127.0.0.1",
		"nacos.remote.grpc.listen.ip=127.0.0.1",
		"server.tomcat.basedir=" + filepath.Join(r.home, "tomcat"),
		// Derby's first connection makes the database. The default of 3 s is
		// too short on a busy machine, and there is no second try.
		"db.pool.config.connectionTimeout=120000",
		"spring.sql.init.mode=never",
		"spring.sql.init.platform=derby",
		"nacos.core.auth.system.type=nacos",
		"nacos.core.auth.enabled=" + auth,
		"nacos.core.auth.admin.enabled=" + auth,
		"nacos.core.auth.console.enabled=" + auth,
		// Otherwise a user that was just made is unknown for up to 15 s.
		"nacos.core.auth.caching.enabled=false",
		// Both are refused when empty; nobody uses them here.
		"nacos.core.auth.server.identity.key=flip-test",
		"nacos.core.auth.server.identity.value=flip-test",
		"nacos.core.auth.plugin.nacos.token.secret.key=b25seSBmb3IgYSB0ZXN0OyBvbmx5IGZvciBhIHRlc3Q=",
		"nacos.extension.ai.enabled=false",
	}, r.cfg.properties...)
	conf := filepath.Join(r.home, "conf")
	for _, dir := range []string{conf, filepath.Join(r.home, "tmp")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(conf, "application.properties"), []byte(strings.Join(lines, "\n")+"\n"), 0o600)
}

// arguments are java's. The heap is small and the compiler quick: a server
// lives for seconds here.
func (r *Real) arguments() []string {
	return []string{
		"-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xlog:cds=off", "-Xlog:cds+dynamic=off",
		"-Dnacos.standalone=true",
		"-Dnacos.home=" + r.home,
		"-Duser.home=" + r.home,
		"-Djava.io.tmpdir=" + filepath.Join(r.home, "tmp"),
		// No fsync: nothing here outlives the test.
		"-Dderby.system.durability=test",
		"-Dspring.config.additional-location=file:" + filepath.Join(r.home, "conf") + "/",
		"-cp", r.dist.classpath, r.dist.main,
	}
}

// do sends a form and returns the answer. A token goes into the header.
func (r *Real) do(ctx context.Context, method, path string, form url.Values, token string) (string, int, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	var body io.Reader
	if method != http.MethodGet && len(form) > 0 {
		body = strings.NewReader(form.Encode())
	} else if len(form) > 0 {
		path += "?" + form.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL+path, body)
	if err != nil {
		return "", 0, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	req.Close = true // nothing stays open when the test ends
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return string(answer), resp.StatusCode, err
}

// splitService parts "GROUP@@name".
func splitService(service string) (group, name string) {
	if group, name, ok := strings.Cut(service, "@@"); ok {
		return group, name
	}
	return "DEFAULT_GROUP", service
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
