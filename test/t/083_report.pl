# The report is one page that a browser shows without complaint and without asking
# for anything else, whatever texts are on it; it says what failed instead of
# failing, and it can be cancelled.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/../perl";

use BrowserTest;
use DbperfTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $tidy = (grep { -x } map { "$_/tidy" } split /:/, $ENV{PATH})[0];
my $node = start_node(
	'main', q{
dbperf.metrics_interval = 1s
dbperf.slow_query_min_duration = 0
dbperf.max_query_length = 1MB
});

# Writes the page of a database to a file and returns it.
sub page
{
	my ($name, $database, %options) = @_;
	my $role = defined $options{role} ? "SET ROLE $options{role};" : '';
	my $call = $options{call} // q{dbperf.report(now() - interval '2 minutes')};
	my $html;

	# on a machine that is busy a part may be left out
	for (1 .. 5)
	{
		$html = $node->safe_psql($database, "$role SELECT $call");
		last if $html !~ /Left out: it took longer/;
	}

	open(my $out, '>:raw', "$dir/$name.html") or die "$name.html: $!";
	print {$out} "$html\n";
	close($out);
	return $html;
}

sub is_ascii
{
	my ($html, $what) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	ok($html !~ /[^\t\n\x20-\x7E]/, "$what is ASCII, without control characters");
	return;
}

# Tests that a page has something, or has it not, without printing all of it.
sub has
{
	my ($html, $pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($html =~ $pattern, $name);
}

sub lacks
{
	my ($html, $pattern, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return ok($html !~ $pattern, $name);
}

# ---- hostile texts ----

# also the name of a database is one
my $bytes_name = '<b onclick="pwned = 1">bytes';
$node->safe_psql('postgres', qq{CREATE DATABASE "@{[ $bytes_name =~ s/"/""/gr ]}"
	TEMPLATE template0 ENCODING 'SQL_ASCII'});
$node->safe_psql('postgres', q{CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1'});
sql($_, 'CREATE EXTENSION dbperf CASCADE') foreach 'postgres', $bytes_name, 'latin';
# what the first sample finds was counted at some time before it
poll_ok('SELECT samples > 0 FROM dbperf.metrics_status', 'samples are taken');
sql(q{CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher;
	CREATE ROLE plain LOGIN;
	CREATE ROLE caller LOGIN; GRANT USAGE ON SCHEMA dbperf TO caller;
	GRANT EXECUTE ON FUNCTION dbperf.report TO caller;
	CREATE TABLE "<img src=x onerror=""pwned = 2"">" AS SELECT g AS id, repeat('x', 100) AS note
		FROM generate_series(1, 20000) AS g;});

my %hostile = (
	script => q{</code></pre></td></table><script>pwned = 3</script>},
	attribute => q{" onmouseover="pwned = 4" autofocus onfocus='pwned = 5' x="},
	image => q{'"><img src=x onerror=pwned=6>},
	entity => q{&lt;b&gt; &amp;amp; &#60;script&#62;},
	comment => q{<!-- --!> ]]> <![CDATA[ <svg onload=pwned=7> {{7*7}} ${7*7} `},
	arabic => "\xd8\xb4\xd8\xb1\xd8\xa7\xd8\xa1",
	override => "\xe2\x80\xae)(nimda\xe2\x81\xa6",
	control => "\x01\x1b[31m\x7f\xc2\x85 \xef\xbf\xbe");
my $sql = "SET application_name = '<i>app</i>';\n";
my $columns = '';
foreach my $name (sort keys %hostile)
{
	(my $text = $hostile{$name}) =~ s/'/''/g;
	# each is another query, executed twice
	$columns .= ', id';
	$sql .= qq{SELECT '$name', '$text' AS "$name"$columns FROM "<img src=x onerror=""pwned = 2"">"
		WHERE note LIKE '%$name%';\n} foreach 1 .. 2;
}
$node->safe_psql('postgres', $sql);
$node->safe_psql($bytes_name, "SELECT 'bytes \xff\xfe\x80 caf\xc3\xa9 \xed\xa0\x80 <script>' AS x, pg_sleep(0.5)");
$node->safe_psql('latin',
	"SET client_encoding = 'LATIN1'; SELECT 'latin \xe9\xa0\x85 <script>' AS x, pg_sleep(0.5)");

# 10 MB in a statement
my $long = "$dir/long.sql";
append_to_file($long, q{SELECT length('} . ('0123456789<' x 953250) . q{'), pg_sleep(0.02);});
$node->command_ok([ 'psql', '-X', '-q', '-o', '/dev/null', '-d', $node->connstr('postgres'), '-f', $long ],
	'a statement of 10 MB is executed');

poll_ok(
	q{SELECT count(DISTINCT sampled_at) >= 6 FROM dbperf.metrics_history
		WHERE name = 'dbperf_statement_p95_seconds'},
	'there is a history');

# ---- the page as text ----

my $html = page('page', 'postgres');

is_ascii($html, 'the page');
has($html, qr/^<!DOCTYPE html>/, 'it is HTML');
lacks($html, qr/note failed/, 'no part of it failed');
cmp_ok(length $html, '<', 5e6, 'it is not large');
has($html, qr/cut here: the text has/, 'a long text is cut, and its length said');
has($html, qr/&#x634;&#x631;&#x627;&#x621;/, 'Arabic is Arabic');
has($html, qr/&#xFFFD;\)\(nimda/, 'what turns the direction of reading is not there');

my $bytes = page('bytes', $bytes_name);
is_ascii($bytes, 'the page of a database without an encoding');
has($bytes, qr/bytes &#xFFFD;&#xFFFD;&#xFFFD; caf&#xE9; &#xFFFD;/,
	'what is no character is replaced there, UTF-8 is read');
has($bytes, qr/<title>&lt;b onclick=&quot;pwned = 1&quot;&gt;bytes/, "the database's name is a text");
my $latin = page('latin', 'latin');
is_ascii($latin, 'the page of a database in LATIN1');
has($latin, qr/latin &#xE9;&#xA0;&#xFFFD; &lt;script/, 'its characters are what they were');
my $compare = page('compare', 'postgres',
	call => q{dbperf.report_compare(now() - interval '4 minutes', now() - interval '2 minutes',
		now() - interval '2 minutes', now())});
is_ascii($compare, 'the comparison');
lacks($compare, qr/note failed/, 'no part of the comparison failed');

SKIP:
{
	skip 'there is no tidy here', 4 unless defined $tidy;
	foreach my $name (qw(page bytes latin compare))
	{
		my ($out, $err) = run_command([ $tidy, '-q', '-e', "$dir/$name.html" ]);

		is($err, '', "$name is valid HTML");
	}
}

# ---- who sees what ----

has(page('watcher', 'postgres', role => 'watcher'), qr/pwned = 3/, 'pg_monitor sees texts');
my ($rc, $out, $err) = $node->psql('postgres', 'SET ROLE plain; SELECT dbperf.report()');
like($err, qr/permission denied/, 'others get no report');
my $poor = page('caller', 'postgres', role => 'caller');
has($poor, qr/note failed.*permission denied/, 'what may not be seen is a note in its place');
has($poor, qr/note">Statements and plans of other roles are hidden/, 'the page says that texts are hidden');
lacks($poor, qr/pwned = [3-7]|nimda/, 'and so they are');
has($poor, qr/<\/html>\s*$/, 'the page goes on to its end');

# ---- cancel ----

($rc, $out, $err) = $node->psql('postgres',
	q{SET statement_timeout = '1ms'; SELECT length(dbperf.report())});
like($err, qr/canceling statement due to statement timeout/, 'a timeout ends the report');
unlike($out, qr/\d/, 'no half of a page comes');
($rc, $out, $err) = $node->psql('postgres', 'SELECT dbperf.report(now(), now())',
	on_error_stop => 0);
like($err, qr/beginning of a report's period must be before its end/, 'a period has a length');

# ---- from the shell ----

my $script = "$FindBin::RealBin/../../scripts/report";
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
umask 0022;
$node->command_ok(
	[ $script, '--since', '3 minutes ago', '-o', "$dir/shell.html", 'postgres' ],
	'scripts/report writes a page');
has(slurp_file("$dir/shell.html"), qr/^<!DOCTYPE.*<\/html>\s*$/s, 'all of it');
is((stat "$dir/shell.html")[2] & 0777, 0600, 'for its owner');
is(join(' ', glob "$dir/shell.html.*"), '', 'and nothing else');
$node->command_ok(
	[ $script, '--compare=1 minute ago', '--since=1 minute ago', "--output=$dir/shell.html", '-d', 'postgres' ],
	'or a comparison, over the page before');
has(slurp_file("$dir/shell.html"), qr/Compared with/, 'it is one');
$node->command_fails_like([ $script, '--since', 'never', '-o', "$dir/shell.html", 'postgres' ],
	qr/invalid input syntax/, 'an error is told');
has(slurp_file("$dir/shell.html"), qr/Compared with/, 'and the page before stays');
$node->command_fails_like([ $script, '-o', "$dir/none/shell.html", 'postgres' ],
	qr/there is no directory/, 'so is a directory that is not there');

# ---- in a browser ----

my $browser = BrowserTest->new;

# What is wrong with the colours of letters: those with too little contrast.
my $contrast = q{(function () {
	function parse(c) { var m = c.match(/[\d.]+/g).map(Number); return m.length < 4 ? m.concat(1) : m; }
	function light(c) {
		return c.slice(0, 3).map(function (v) {
			v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
		}).reduce(function (s, v, i) { return s + v * [0.2126, 0.7152, 0.0722][i]; }, 0);
	}
	function below(e) {
		for (; e; e = e.parentElement) {
			var c = parse(getComputedStyle(e).backgroundColor);
			if (c[3] > 0.99) return c;
		}
		return [255, 255, 255];
	}
	var bad = new Set();
	document.querySelectorAll("body *").forEach(function (e) {
		if (!e.getClientRects().length || e.closest(".hits")) return;
		if (!Array.from(e.childNodes).some(function (n) { return n.nodeType === 3 && n.data.trim(); })) return;
		var style = getComputedStyle(e);
		var a = light(parse(e instanceof SVGElement ? style.fill : style.color)), b = light(below(e));
		var ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
		if (ratio < 4.5) bad.add(e.tagName + "." + e.getAttribute("class") + " " + ratio.toFixed(2));
	});
	return Array.from(bad).join(", ");
})()};

foreach my $name (qw(page bytes latin compare))
{
	$browser->size(1300, 900);
	my $seconds = $browser->open("$dir/$name.html");
	note "$name: loaded in $seconds s";
	is(join("\n", $browser->complaints), '', "$name: no message in the console");
	is(join("\n", $browser->requests), '', "$name: nothing else is asked for");
	is($browser->eval('typeof pwned'), 'undefined', "$name: no text was executed");
	is($browser->eval(q{document.querySelectorAll(`script, style, link, base, img, iframe, object, embed,
		form, input, video, audio, i:not([class]), b b`).length}), 2,
		"$name: no text made an element");
	is($browser->eval(q{Array.from(document.querySelectorAll("*")).filter(function (e) {
		return Array.from(e.attributes).some(function (a) { return /^on|^style$/.test(a.name); });
	}).length}), 0, "$name: no text made an attribute");
	is($browser->eval(q{Array.from(document.querySelectorAll("figure.chart svg.lines")).filter(function (s) {
		return !/[1-9].*[ML]/.test(Array.from(s.querySelectorAll(".line, .area")).map(function (p) {
			return p.getAttribute("d"); }).join(""));
	}).length}), 0, "$name: every chart has data");
	cmp_ok($browser->eval(q{document.querySelectorAll("figure.chart svg.lines").length}),
		'>', 5, "$name: there are charts");
	is($browser->eval(q{new Set(Array.from(document.querySelectorAll("[id]")).map(function (e) {
		return e.id; })).size - document.querySelectorAll("[id]").length}), 0, "$name: ids are unique");
	is($browser->eval(q{Array.from(document.querySelectorAll("nav a")).filter(function (a) {
		return !document.getElementById(a.hash.slice(1)); }).length}), 0, "$name: the contents lead to sections");
}

$browser->size(1300, 2400);
$browser->open("$dir/page.html");
foreach my $name (grep { !/override|control|arabic/ } sort keys %hostile)
{
	# as it was written in the statement
	ok($browser->eval('document.body.textContent.includes('
			  . JSON::PP->new->allow_nonref->encode($hostile{$name} =~ s/'/''/gr) . ')'),
		"$name is shown as it was");
}
foreach my $scheme (qw(light dark))
{
	$browser->scheme($scheme);
	is($browser->eval($contrast), '', "letters can be read when it is $scheme");
	$browser->screenshot("report_$scheme.png");
}

# tables
my $table = '#queries table';
my $values = qq{Array.from(document.querySelector("$table").tBodies).map(function (b) {
	return b.rows[0].cells[3].getAttribute("data-v"); }).filter(function (v) { return v !== null; })
	.map(Number)};
$browser->mouse("$table th:nth-child(4) button", 1);
my $sorted = $browser->eval("$values.join()");
is($sorted, join(',', sort { $b <=> $a } split /,/, $sorted), 'a table is sorted by a click: the greatest first');
cmp_ok(scalar(split /,/, $sorted), '>', 3, 'it has rows');
$browser->key('Enter');
is($browser->eval("$values.join()"), join(',', reverse split /,/, $sorted), 'and the other way round by a key');
is($browser->eval(qq{document.querySelector("$table th:nth-child(4)").getAttribute("aria-sort")}),
	'ascending', 'the table says how it is sorted');
is($browser->eval(qq{Array.from(document.querySelectorAll("$table tr.more")).every(function (r) {
	return r.previousElementSibling && !r.previousElementSibling.classList.contains("more"); })}),
	1, 'what unfolds stays below its row');

# charts: most of the period is before the server's start, the end has data
$browser->mouse('#latency .hits rect:last-child');
like($browser->eval('document.getElementById("tip").innerText'),
	qr/^\d{4}-\d\d-\d\d [\d:]+\s+p50: .*\s+p95: /, 'the pointer shows the values of a chart');
$browser->mouse('#waits svg.plot', 1);
$browser->key('Home');
like($browser->eval('document.getElementById("tip").hidden ? "" : document.getElementById("tip").innerText'),
	qr/: /, 'so do the keys');

# a phone, and paper
$browser->scheme('light');
$browser->size(390, 2400);
$browser->eval('scrollTo(0, 0)');
is($browser->eval('document.documentElement.scrollWidth'), 390, 'a phone need not scroll sideways');
$browser->screenshot('report_phone.png');
$browser->size(800, 1000);
$browser->medium('print');
is($browser->eval(q{Array.from(document.querySelectorAll("button.copy, nav")).filter(function (e) {
	return e.getClientRects().length; }).length}), 0, 'there are no buttons on paper');
$browser->medium('screen');

# what would happen if a text got through
is($browser->eval(q{new Promise(function (done) {
	var found = [];
	document.addEventListener("securitypolicyviolation", function (event) {
		found.push(event.effectiveDirective);
		if (found.length === 2) done(found.sort().join());
	});
	document.body.insertAdjacentHTML("beforeend", "<img src='http://127.0.0.1:9/x' onerror='pwned = 8'>");
	setTimeout(function () { done(found.join()); }, 10000);
})}), 'img-src,script-src-attr', 'the page forbids to fetch anything, and scripts in elements');
is($browser->eval('typeof pwned'), 'undefined', 'so nothing is executed');
$browser->close;

nothing_crashed();
done_testing();
