#!/bin/sh
# Installs the package in a clean Debian, tries what it brought, and takes it away again.
#
#   package.sh FILE.deb
set -eu
deb=$1
step=start
trap '[ "$step" = done ] || echo "failed at: $step" >&2' EXIT
all() {
  # Without what dpkg, its log, locks and the tools for accounts write in any case.
  find / -xdev \( -path /proc -o -path /run -o -path /tmp -o -path /var/lib/dpkg -o -path /var/log \) -prune -o -print |
    grep -v -e '^/etc/[a-z]*-$' -e '^/etc/\.pwd\.lock$' -e '^/var/lib/systemd' | sort
}
all >/tmp/before

step="installing it"
dpkg -i "$deb"
[ "$(dpkg-query -W -f '${Status}' switchback)" = "install ok installed" ]

step="the files of the package"
for file in /usr/bin/switchback /usr/lib/systemd/system/switchback.service \
  /usr/share/man/man1/switchback.1.gz /usr/share/man/man1/switchback-status.1.gz \
  /usr/share/bash-completion/completions/switchback /usr/share/zsh/vendor-completions/_switchback \
  /usr/share/fish/vendor_completions.d/switchback.fish \
  /usr/share/doc/switchback/changelog.Debian.gz /usr/share/doc/switchback/copyright; do
  [ -f "$file" ] || { echo "there is no $file" >&2; exit 1; }
done
bash -n /usr/share/bash-completion/completions/switchback
dpkg-query -W -f '${Conffiles}' switchback | grep -q /etc/switchback/switchback.toml

step="the configuration that it brings"
switchback check

step="the user"
[ "$(stat -c '%U:%G %a' /var/lib/switchback)" = "switchback:switchback 750" ]
[ "$(getent passwd switchback | cut -d: -f7)" = /usr/sbin/nologin ]

step="nothing runs before it is configured"
[ ! -e /etc/systemd/system/multi-user.target.wants/switchback.service ]

step="serving, as its user, with no right but to port 53"
install -d -o switchback -g switchback /run/switchback
setpriv --reuid switchback --regid switchback --clear-groups --no-new-privs \
  --inh-caps=-all,+net_bind_service --ambient-caps=-all,+net_bind_service \
  --bounding-set=-all,+net_bind_service switchback serve &
server=$!
tries=0
until switchback status --alive; do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] && kill -0 "$server"
  # Nobody writes here: a bounded wait.
  timeout 0.1 cat /dev/zero >/dev/null || true
done
switchback status | grep -q contoso.test
kill "$server"
wait "$server"
rm -r /run/switchback

step="installing it again over a configuration that was changed"
echo '# mine' >>/etc/switchback/switchback.toml
dpkg -i "$deb"
tail -n 1 /etc/switchback/switchback.toml | grep -q mine

step="removing it"
dpkg --remove switchback
[ ! -e /usr/bin/switchback ]
[ -e /etc/switchback/switchback.toml ]
[ -d /var/lib/switchback ]

step="purging it"
dpkg --purge switchback
! getent passwd switchback
! getent group switchback
all >/tmp/after
diff /tmp/before /tmp/after
step=done
