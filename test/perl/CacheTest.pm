# What the tests of the result cache share: two sessions that read, one that
# changes things, and the question that counts: does the cache answer what
# executing the statement answers?
#
# A statement that was never served from the cache proves nothing, so each is
# executed until the counter of hits goes up, before and after the change.
#
#	my $cache = CacheTest->new($node);
#	$cache->survives('name of the subtest',
#		setup   => 'CREATE TABLE ...',  # run in an empty schema t
#		query   => 'SELECT ... $1',     # the statement; it need not have parameters
#		args    => ['1'],               # literals for them
#		session => 'SET ...',           # run in both readers
#		a, b    => 'SET ...',           # run in one of them
#		change  => 'UPDATE ...',        # SQL, or a sub
#		by      => 'writer',            # who runs it: writer, a, both (one after the other)
#		same    => 1,                   # the change does not change the result, or
#		same    => qr/^b/,              # that of these readers (as "b simple")
#		swaps   => 1,                   # afterwards a says what b said, and b what a said
#		gone    => 1,                   # afterwards it is not served any more
#		refused => 1,                   # it is never served
#		mode    => 'auto',              # of the cache, without a hint
#		forms   => ['simple'],          # default: simple and prepared
#	);

package CacheTest;

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time usleep);

# The settings that make a test repeatable: everything that is hinted is kept.
sub conf
{
	return q{
shared_preload_libraries = 'dbperf,pg_stat_statements'
autovacuum = off
fsync = off
synchronous_commit = off
log_statement = none
timezone = 'UTC'
max_prepared_transactions = 10
max_parallel_workers_per_gather = 0
jit = off
synchronize_seqscans = off
client_min_messages = error
plan_cache_mode = force_generic_plan
search_path = 't, public'
dbperf.advisor_interval = 0
dbperf.maintenance = off
dbperf.metrics_interval = 0
dbperf.estimates_interval = 0
dbperf.node_poll_interval = 0
dbperf.cache_mode = hint
dbperf.cache_min_duration = 0
dbperf.cache_admission = always
};
}

sub new
{
	my ($class, $node, $database) = @_;
	my $self =
	  bless { node => $node, database => $database // 'postgres', mode => 'hint' }, $class;

	$self->{$_} = $self->session for qw(a b writer monitor);
	return $self;
}

# Another session.
sub session
{
	my ($self, %params) = @_;
	my $session = $self->{node}->background_psql($self->{database}, on_error_stop => 0, %params);

	$session->set_query_timer_restart;
	return $session;
}

sub finish
{
	my ($self) = @_;

	$self->{$_}->quit for qw(a b writer monitor);
	return;
}

# Runs statements in a session; an error is part of what is returned.  (The
# session's own query() notes each of them, which costs more than they do.)
sub ask
{
	my ($self, $who, $sql) = @_;
	my $session = ref $who ? $who : $self->{$who};
	my $end = 'end of ' . ++$self->{asked};
	my $out;

	$self->{hits} = undef;
	$session->{timeout}->start;
	$session->{stdin} .=
	  "$sql;\n\\if :ERROR\n\\echo ERROR :SQLSTATE :LAST_ERROR_MESSAGE\n\\endif\n\\echo '$end'\n";
	$session->{run}->pump until $session->{stdout} =~ /^$end\n/m || $session->{timeout}->is_expired;
	die "no answer: $sql\n$session->{stdout}\n$session->{stderr}" if $session->{timeout}->is_expired;
	$out = $session->{stdout};
	$session->{stdout} = $session->{stderr} = '';
	$out =~ s/\n?^$end\n//m;
	return $out;
}

# The same for what must not fail.
sub run
{
	my ($self, $who, $sql) = @_;
	my $out;

	foreach my $part (ref $sql ? @$sql : $sql)
	{
		$out = $self->ask($who, $part);
		die "failed: $part\n$out" if $out =~ /^ERROR /m;
	}
	return $out;
}

sub hits
{
	my ($self) = @_;

	return $self->ask('monitor', 'SELECT hits FROM dbperf.cache_stats');
}

# Returns what a statement says, and whether the cache said so.
sub watch
{
	my ($self, $who, $sql) = @_;
	my $before = $self->{hits} // $self->hits;
	my $answer = $self->ask($who, $sql);
	my $after = $self->hits;

	$self->{hits} = $after;
	return ($answer, $after > $before);
}

# What the same session says without the cache, at the same moment.  That is no
# hit, so the counter is known afterwards, too.
sub truth
{
	my ($self, $who, $sql) = @_;
	my $hits = $self->{hits};
	my $answer = $self->ask($who, "SET dbperf.cache_mode = off;\n$sql");

	$self->ask($who, "SET dbperf.cache_mode = $self->{mode}");
	$self->{hits} = $hits;
	return $answer;
}

# One execution: returns what it says, whether it was a hit, and complains if
# it is not true.  $truth is another statement that says it, if given.
sub exact
{
	my ($self, $who, $sql, $what) = @_;
	my ($answer, $hit) = $self->watch($who, $sql);
	my $truth = $self->{moves} ? $answer : $self->truth($who, $sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	if ($answer ne $truth)
	{
		is($answer, $truth, "$what: " . ($hit ? 'the cache' : 'an execution') . ' says the truth');
		$self->{wrong}++;
	}
	return ($answer, $hit);
}

# Executes until it is a hit, each time comparing.  Returns the answer and whether
# there was a hit.  After a start of the server there can be none before all
# transactions of then have ended, those of workers included; what is never to be
# a hit need not be waited for.
sub serve
{
	my ($self, $who, $sql, $what, %params) = @_;
	my $end = time + ($params{never} ? 0 : 10);
	my ($answer, $hit);

	for (my $try = 1; $try <= 6 || time < $end; $try++)
	{
		usleep(20_000) if $try > 6;
		($answer, $hit) = $self->exact($who, $sql, $what);
		last if $hit || ($answer =~ /^ERROR /m);
	}
	return ($answer, $hit);
}

# The statement with its hint, in one of the two forms, and how it is prepared.
sub form
{
	my ($form, $case) = @_;
	my @args = @{ $case->{args} // [] };
	my $query = ($case->{hint} // '/* dbperf: cache */ ') . $case->{query};

	return 'EXECUTE p' . (@args ? '(' . join(', ', @args) . ')' : '') if $form eq 'prepared';
	$query =~ s/\$(\d)/$args[$1 - 1]/g;
	return $query;
}

# An empty schema t, and sessions as new.
sub prepare
{
	my ($self, $case) = @_;

	$self->{mode} = $case->{mode} // 'hint';
	$case->{hint} //= $self->{mode} eq 'auto' ? '' : '/* dbperf: cache */ ';
	$self->ask($_, 'ROLLBACK; DISCARD ALL') for qw(a b writer);
	$self->ask($_, "SET dbperf.cache_mode = $self->{mode}") for qw(a b);
	$self->run('writer', 'DROP SCHEMA IF EXISTS t CASCADE; CREATE SCHEMA t; GRANT ALL ON SCHEMA t TO PUBLIC');
	$self->run('writer', $case->{setup}) if $case->{setup};
	foreach my $who (qw(a b))
	{
		$self->run($who, $case->{session}) if $case->{session};
		$self->run($who, $case->{$who}) if $case->{$who};
		$self->run($who, 'PREPARE p AS ' . ($case->{hint} // '/* dbperf: cache */ ') . $case->{query});
	}
	return;
}

# The other reader's name for a reader's.
sub other
{
	my ($reader) = @_;

	return ($reader =~ /^a/ ? 'b' : 'a') . substr($reader, 1);
}

# Runs the change.
sub change
{
	my ($self, $change, $by) = @_;

	return $change->($self) if ref $change eq 'CODE';
	$self->run($by, $change);
	return;
}

# All readers in all forms are served: returns their answers.
sub all_served
{
	my ($self, $case, $when) = @_;
	my %answers;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $who (qw(a b))
	{
		foreach my $form (@{ $case->{forms} // [qw(simple prepared)] })
		{
			my $never = $case->{refused} || ($case->{gone} && $when ne 'before');
			my ($answer, $hit) =
			  $self->serve($who, form($form, $case), "$who, $form, $when", never => $never);

			$answers{"$who $form"} = $answer;
			next if $answer =~ /^ERROR / && !$case->{refused} && $when ne 'before';
			ok($never ? !$hit : $hit, "$who, $form, $when: " . ($never ? 'not served' : 'served'));
		}
	}
	return \%answers;
}

# The very first executions after a change.
sub all_first
{
	my ($self, $case, $when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	foreach my $form (@{ $case->{forms} // [qw(simple prepared)] })
	{
		$self->exact($_, form($form, $case), "$_, $form, first $when") for qw(b a);
	}
	return;
}

sub survive_change
{
	my ($self, $case, $by) = @_;
	my ($before, $after);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$self->prepare($case);
	$before = $self->all_served($case, 'before');
	$self->change($case->{change}, $by);
	$self->all_first($case, "after the change by $by");
	$after = $self->all_served($case, "after the change by $by");
	foreach my $reader (sort keys %$before)
	{
		my $same = $case->{same} // 0;

		if ($case->{swaps})
		{
			is($after->{$reader}, $before->{ other($reader) }, "$reader: swapped")
			  if $reader =~ /simple/;
		}
		elsif (ref $same ? $reader =~ $same : $same)
		{
			is($after->{$reader}, $before->{$reader}, "$reader: the change changes nothing");
		}
		else
		{
			isnt($after->{$reader}, $before->{$reader}, "$reader: the change by $by is seen");
		}
	}
	$self->change($case->{undo}, $by) if $case->{undo};
	return;
}

# A subtest: the answers are those of executing the statement, before and after.
sub survives
{
	my ($self, $name, %case) = @_;
	my $by = $case{by} // 'writer';

	subtest $name => sub {
		$self->{wrong} = 0;
		$self->survive_change(\%case, $_) foreach $by eq 'both' ? qw(writer a) : $by;
		is($self->{wrong}, 0, 'every answer is the truth');
	};
	return;
}

# A subtest: never served, always true (unless the answer is another each time:
# moves => 1), and cache_explain() says why.
sub never
{
	my ($self, $name, %case) = @_;

	subtest $name => sub {
		$self->{wrong} = 0;
		$self->prepare(\%case);
		$self->{moves} = $case{moves};
		$case{refused} = 1;
		$self->all_served(\%case, 'ever');
		if ($case{change})
		{
			$self->change($case{change}, $case{by} // 'writer');
			$self->all_served(\%case, 'after the change');
		}
		if ($case{reason})
		{
			like($self->why('a', form('simple', \%case)), $case{reason}, 'with a reason');
		}
		$self->change($case{undo}, 'writer') if $case{undo};
		$self->{moves} = 0;
		is($self->{wrong}, 0, 'every answer is the truth');
	};
	return;
}

# What cache_explain() says, in one line.
sub why
{
	my ($self, $who, $sql) = @_;

	return $self->ask($who, 'SELECT e::text FROM dbperf.cache_explain($explained$'
		. $sql . '$explained$) AS e');
}

1;
