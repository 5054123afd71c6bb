package browser

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/danube-messaging/danube-connect-go/runtime/danubetest"
)

// With tokens the page shows nothing before it has one that will do, says what is wrong with others, and switches faults with it.
func TestE2EToken(t *testing.T) {
	browser := startChromium(t, program(t))
	auth := danubetest.Auth{Secret: []byte("secret"), SuperAdmins: []string{"root"}}
	b := danubetest.Start(t, danubetest.Secure(auth))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, b.ServeStatus(l))
	b.CutOff("till-7") // something to see
	paste := func(page *page, token string) {
		page.eval(fmt.Sprintf(`document.querySelector("#token").value = %q; 1`, token), nil)
		page.key("Enter", 13)
	}
	for _, at := range []screen{{360, 800, false}, {1600, 1000, true}} {
		page := browser.open(b.StatusURL(), at)
		page.until(`document.querySelector("#health").textContent === "token needed"`)
		page.until(`document.activeElement === document.querySelector("#token") && document.querySelector("#token").labels.length === 1`)
		page.until(`!document.querySelector("#content").offsetParent && !document.body.innerText.includes("till-7")`)
		fits(page, at)
		paste(page, "nonsense")
		page.until(`document.querySelector("#token-said").innerText.startsWith("Refused: Invalid token: it is not a JSON web token")`)
		paste(page, auth.Token("nobody", time.Hour))
		page.until(`document.querySelector("#token-said").innerText === "Refused: no binding grants ManageCluster on Cluster for service_account:nobody."`)
		fits(page, at)
		page.shoot(os.Getenv("E2E_SHOTS"), "token-"+at.String())

		paste(page, auth.Token("root", time.Hour))
		page.until(`document.querySelector("#health").textContent === "live" && !document.querySelector("#login").offsetParent`)
		page.until(`document.querySelector("#on").innerText.includes("till-7")`)
		page.eval(`document.querySelector('[data-kind="drop-streams"]').click(); 1`, nil)
		page.until(`document.querySelector("#said").textContent === "Done: every receive stream has ended."`)
		var kept string
		page.eval(`JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href.includes("ey"), document.querySelector("#token").value])`, &kept)
		require.Equal(t, `["",{},{},false,""]`, kept, "the token is kept where others may find it")
	}
	for _, complaint := range browser.complaints() {
		require.True(t, strings.Contains(complaint, "status of 401") || strings.Contains(complaint, "status of 403"), complaint)
	}
}
