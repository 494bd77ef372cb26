
=pod

=head1 NAME

BrowserTest - a page in a browser without a window

=head1 SYNOPSIS

  use BrowserTest;    # skips the whole test if there is no Chromium

  my $browser = BrowserTest->new;
  $browser->open("$dir/page.html");
  $browser->size(390, 800);
  is($browser->eval('document.title'), 'report', 'it has a title');
  is_deeply([ $browser->complaints ], [], 'the browser has nothing to complain about');
  $browser->screenshot('page.png');
  $browser->close;

=head1 DESCRIPTION

The program is the one that $ENV{DBPERF_CHROMIUM} names.  It is spoken to through a
pair of pipes, so that nothing listens on a port, and can resolve no name.

=cut

package BrowserTest;

use strict;
use warnings;

use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use POSIX ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $program = $ENV{DBPERF_CHROMIUM};
my $json = JSON::PP->new->utf8->allow_nonref;

sub import
{
	plan skip_all => 'there is no Chromium here' unless defined $program && -x $program;
	return;
}

=pod

=head1 METHODS

=over

=item new()

Starts the browser with an empty page.

=cut

sub new
{
	my ($class) = @_;
	my $home = PostgreSQL::Test::Utils::tempdir();
	my $self = bless { id => 0, buffer => '', events => [], home => $home }, $class;
	my ($target);

	pipe(my $its_in, $self->{to}) or die "pipe: $!";
	pipe($self->{from}, my $its_out) or die "pipe: $!";
	$self->{pid} = fork() // die "fork: $!";
	run_browser($home, fileno($its_in), fileno($its_out)) if $self->{pid} == 0;
	close $its_in;
	close $its_out;
	$self->{to}->autoflush(1);

	($target) = grep { $_->{type} eq 'page' } @{ $self->call('Target.getTargets')->{targetInfos} };
	$self->{session} =
	  $self->call('Target.attachToTarget', targetId => $target->{targetId}, flatten => JSON::PP::true)
	  ->{sessionId};
	$self->call("$_.enable") foreach qw(Page Runtime Log Network);
	return $self;
}

# Becomes the browser, which reads commands from descriptor 3 and writes to 4.
sub run_browser
{
	my ($home, $in, $out) = @_;

	POSIX::dup2($in, 20);
	POSIX::dup2($out, 21);
	POSIX::dup2(20, 3);
	POSIX::dup2(21, 4);
	POSIX::close($_) foreach 20, 21;
	open(STDIN, '<', '/dev/null');
	open(STDOUT, '>', "$home/browser.log");
	open(STDERR, '>&', \*STDOUT);
	$ENV{$_} = $home foreach qw(HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME XDG_CACHE_HOME TMPDIR);
	exec($program, qw(--headless --no-sandbox --disable-gpu --no-first-run --hide-scrollbars
		  --disable-background-networking --disable-component-update --disable-sync
		  --disable-default-apps --disable-dev-shm-usage --remote-debugging-pipe),
		'--host-resolver-rules=MAP * ~NOTFOUND', "--user-data-dir=$home/profile", 'about:blank')
	  or POSIX::_exit(127);
}

# Reads one message; dies if none comes in time.
sub receive
{
	my ($self) = @_;
	my $end = time + 2 * $PostgreSQL::Test::Utils::timeout_default;

	while ($self->{buffer} !~ /\0/)
	{
		my $set = '';

		vec($set, fileno($self->{from}), 1) = 1;
		die "the browser does not answer" if select($set, undef, undef, $end - time) <= 0;
		sysread($self->{from}, $self->{buffer}, 1 << 20, length $self->{buffer})
		  or die "the browser is gone:\n" . slurp_file("$self->{home}/browser.log");
	}
	$self->{buffer} =~ s/^([^\0]*)\0//;
	return $json->decode($1);
}

=pod

=item call(METHOD, PARAMETERS)

Calls a method of the DevTools protocol and returns its result.

=cut

sub call
{
	my ($self, $method, %params) = @_;
	my $id = ++$self->{id};
	my %message = (id => $id, method => $method, params => \%params);

	$message{sessionId} = $self->{session} if defined $self->{session};
	print { $self->{to} } $json->encode(\%message), "\0";
	while (1)
	{
		my $answer = $self->receive;

		if (!defined $answer->{id})
		{
			push @{ $self->{events} }, $answer;
			next;
		}
		next if $answer->{id} != $id;
		die "$method: $answer->{error}{message}" if $answer->{error};
		return $answer->{result};
	}
}

=pod

=item open(FILE)

Opens a file and waits until it is loaded.  Returns the seconds that took.

=cut

sub open    ## no critic (ProhibitBuiltinHomonyms)
{
	my ($self, $file) = @_;
	my $start = time;

	$self->{events} = [];
	$self->call('Page.navigate', url => "file://$file");
	push @{ $self->{events} }, $self->receive
	  until grep { $_->{method} eq 'Page.loadEventFired' } @{ $self->{events} };
	return time - $start;
}

=pod

=item size(WIDTH, HEIGHT), scheme(SCHEME), medium(MEDIUM)

How large the window is, whether the reader likes it 'light' or 'dark', and whether
it is for 'screen' or 'print'.

=cut

sub size
{
	my ($self, $width, $height) = @_;

	$self->call(
		'Emulation.setDeviceMetricsOverride',
		width => $width,
		height => $height,
		deviceScaleFactor => 1,
		mobile => JSON::PP::false);
	return;
}

sub scheme
{
	my ($self, $scheme) = @_;

	$self->call('Emulation.setEmulatedMedia',
		features => [ { name => 'prefers-color-scheme', value => $scheme } ]);
	return;
}

sub medium
{
	my ($self, $medium) = @_;

	$self->call('Emulation.setEmulatedMedia', media => $medium);
	return;
}

=pod

=item eval(EXPRESSION)

The value of an expression in the page: a string, a number, or what JSON makes of it.

=cut

sub eval    ## no critic (ProhibitBuiltinHomonyms)
{
	my ($self, $expression) = @_;
	my $result = $self->call(
		'Runtime.evaluate',
		expression => $expression,
		returnByValue => JSON::PP::true,
		awaitPromise => JSON::PP::true);

	die $result->{exceptionDetails}{exception}{description} if $result->{exceptionDetails};
	return $result->{result}{value};
}

=pod

=item mouse(SELECTOR, [CLICK])

Moves the pointer to the middle of the first element that matches, and clicks.

=item key(NAME)

Presses a key in the element that has the focus.

=cut

sub mouse
{
	my ($self, $selector, $click) = @_;
	my $place = $self->eval(
		qq{new Promise(function (done) {
		var e = document.querySelector(@{[ $json->encode($selector) ]});
		e.scrollIntoView({block: "center", inline: "center"});
		// the page hears of it with the next frame
		requestAnimationFrame(function () { requestAnimationFrame(function () {
			var r = e.getBoundingClientRect();
			done([r.left + r.width / 2, r.top + r.height / 2]);
		}); });
	})});
	my @at = (x => $place->[0], y => $place->[1]);

	$self->call('Input.dispatchMouseEvent', type => 'mouseMoved', @at);
	return if !$click;
	$self->call(
		'Input.dispatchMouseEvent',
		type => $_,
		button => 'left',
		clickCount => 1,
		@at) foreach qw(mousePressed mouseReleased);
	return;
}

sub key
{
	my ($self, $name) = @_;
	my @text = $name eq 'Enter' ? (text => "\r") : ();
	my %codes = (Enter => 13, ArrowLeft => 37, ArrowRight => 39, Home => 36);

	$self->call(
		'Input.dispatchKeyEvent',
		type => $_,
		key => $name,
		windowsVirtualKeyCode => $codes{$name},
		$_ eq 'keyDown' ? @text : ()) foreach qw(keyDown keyUp);
	return;
}

=pod

=item complaints()

What the browser had to say about the page since it was opened: exceptions, and
messages of its console.

=item requests()

What it has asked for beside the page itself.

=cut

sub complaints
{
	my ($self) = @_;
	my @found;

	# what has happened until now has been told when this is answered
	$self->call('Runtime.evaluate', expression => '1');
	foreach my $event (@{ $self->{events} })
	{
		my $params = $event->{params};

		push @found, $params->{exceptionDetails}{text}
		  if $event->{method} eq 'Runtime.exceptionThrown';
		push @found, $params->{entry}{text} if $event->{method} eq 'Log.entryAdded';
		push @found, "console.$params->{type}" if $event->{method} eq 'Runtime.consoleAPICalled';
	}
	return @found;
}

sub requests
{
	my ($self) = @_;
	my @urls;

	$self->call('Runtime.evaluate', expression => '1');
	foreach my $event (@{ $self->{events} })
	{
		push @urls, $event->{params}{request}{url}
		  if $event->{method} eq 'Network.requestWillBeSent'
		  && $event->{params}{type} ne 'Document';
	}
	return @urls;
}

=pod

=item screenshot(FILE)

Keeps what the window shows beside the test's other files.

=cut

sub screenshot
{
	my ($self, $file) = @_;
	my $result = $self->call('Page.captureScreenshot');
	my $path = "$PostgreSQL::Test::Utils::tmp_check/$file";

	CORE::open(my $out, '>:raw', $path) or die "$path: $!";
	print {$out} decode_base64($result->{data});
	CORE::close($out);
	return;
}

=pod

=item close()

Ends the browser.

=cut

sub close    ## no critic (ProhibitBuiltinHomonyms)
{
	my ($self) = @_;

	return if !defined $self->{pid};
	delete $self->{session};
	CORE::eval { $self->call('Browser.close') };
	waitpid($self->{pid}, 0);
	delete $self->{pid};
	return;
}

sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);

	kill 'KILL', $self->{pid} if defined $self->{pid};
	waitpid($self->{pid}, 0) if defined $self->{pid};
	return;
}

=pod

=back

=cut

1;
