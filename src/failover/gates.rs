//! From a decision to move to the move: what keeps it, who has to approve it, and what it waits
//! for. Each gate is asked in order; the first that is closed says why.

use super::decide::Decision;
use super::engine::Engine;
use super::service_state::ServiceState;
use super::{Because, Change, Event, Mode, OrderRefusal, Proposal, Service, Word};
use crate::health::PoolHealth;
use crate::ids::{OperationId, PoolName, ServerName, ServiceName};
use crate::time::{Mono, Now};

/// A decision after the gates.
pub(super) struct Weighed {
    /// Where the service moves now, if it does.
    pub(super) target: Option<PoolName>,
    /// Why it moves, or what keeps it.
    pub(super) because: Because,
    /// When to weigh anew, if nothing happens until then.
    pub(super) wake: Option<Mono>,
    /// What becomes of the proposal.
    pub(super) proposal: Asks,
}

/// What becomes of the move that waits for a person's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asks {
    /// It is this one.
    This(PoolName, Because),
    /// Whether it is still wanted cannot be said now.
    Undecided,
    /// There is none.
    Nothing,
}

impl Weighed {
    fn stay(because: Because, proposal: Asks) -> Weighed {
        Weighed {
            target: None,
            because,
            wake: None,
            proposal,
        }
    }
}

impl Engine {
    /// A decision against what keeps it from being carried out.
    pub(super) fn weigh(
        &self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        decision: Decision,
    ) -> Weighed {
        let capped = decision.held.as_ref().map(|_| decision.because.clone());
        let wanted = match decision.held {
            Some(held) => Some(held),
            None => decision.target.map(|to| (to, decision.because.clone())),
        };
        let Some((to, why)) = wanted else {
            let asks = if self.leaves_open(name, &decision.because) {
                Asks::Undecided
            } else {
                Asks::Nothing
            };
            return Weighed::stay(decision.because, asks);
        };
        if let Some(obstacle) = self.obstacle(service, &to) {
            return Weighed::stay(obstacle, Asks::Undecided);
        }
        if service.mode == Mode::Observe && !why.is_an_operators() {
            let why = Box::new(why);
            return Weighed::stay(Because::Observed { to, why }, Asks::Nothing);
        }
        let gate = self.gate(name, service, &to, &why, capped);
        if let Some(gate) = gate {
            return self.ask(name, service, to, why, gate);
        }
        self.hurry_or_wait(now, name, service, to, why)
    }

    /// Whether the move that waits for a person's word may be wanted again in a moment, as it was.
    fn leaves_open(&self, name: &ServiceName, because: &Because) -> bool {
        let state = self.services.get(name);
        let proposal = state.and_then(|state| state.memory.proposal.as_ref());
        // Who waits for a failback is in no trouble: a move away from trouble is not wanted any more.
        let ends = matches!(because, Because::FailbackWaits { .. })
            && proposal.is_some_and(|proposal| proposal.because != Because::FailedBack);
        is_undecided(because) && !ends || self.proposes_a_doubtful(name)
    }

    /// Whether the pool that the proposal is about may be fit in a moment: nothing is known of it, or
    /// a look has just failed that may be the only one.
    fn proposes_a_doubtful(&self, name: &ServiceName) -> bool {
        let Some(state) = self.services.get(name) else {
            return false;
        };
        let belief = |pool: &PoolName| self.pools.get(pool).map(|state| &state.belief);
        let Some((proposal, of_target)) = state
            .memory
            .proposal
            .as_ref()
            .and_then(|proposal| Some((proposal, belief(&proposal.to)?)))
        else {
            return false;
        };
        // Without trouble only a failback is wanted at all.
        let troubled = belief(&state.active()).is_some_and(|it| it.health != PoolHealth::Up);
        let wanted = troubled || proposal.because == Because::FailedBack;
        of_target.health == PoolHealth::Unknown || wanted && of_target.firm < of_target.health
    }

    /// Why a person has to approve this move, the rarest reason first.
    fn gate(
        &self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        why: &Because,
        capped: Option<Because>,
    ) -> Option<Because> {
        let forced = matches!(why, Because::Ordered { .. })
            && self
                .services
                .get(name)
                .and_then(|state| state.memory.ordered.as_ref())
                .is_some_and(|ordered| ordered.force);
        let disturbs = self.disturbs(name, service, to).filter(|_| !forced);
        disturbs.or(capped).or_else(|| {
            let asks = service.mode == Mode::Approve && !why.is_an_operators();
            asks.then(|| Because::AwaitsApproval {
                to: to.clone(),
                why: Box::new(why.clone()),
            })
        })
    }

    /// The move waits for a person's word, or has it.
    fn ask(
        &self,
        name: &ServiceName,
        service: &Service,
        to: PoolName,
        why: Because,
        gate: Because,
    ) -> Weighed {
        let asks = Asks::This(to.clone(), why.clone());
        let Some(proposal) = self.proposal_of(name, service, &to, &why) else {
            return Weighed::stay(gate, asks);
        };
        match &proposal.word {
            Some(Word::Approved(_)) => Weighed {
                target: Some(to),
                because: why,
                wake: None,
                proposal: asks,
            },
            Some(Word::Rejected(by)) => {
                let author = by.author.clone();
                let why = Box::new(why);
                Weighed::stay(Because::Rejected { to, author, why }, asks)
            }
            None => Weighed::stay(gate, asks),
        }
    }

    /// The proposal of a service, if it is of a move to this pool, as it would go now. A rejection
    /// holds for its reason alone: who wants no failback has not said that a dead pool is to stay.
    fn proposal_of(
        &self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        why: &Because,
    ) -> Option<&Proposal> {
        let state = self.services.get(name)?;
        let servers = self.policy.pools.get(to)?.server_names();
        let proposal = state.memory.proposal.as_ref()?;
        let is_this = proposal.is_of(&state.active(), to, &service.runbook, &servers);
        let holds = proposal.rejected().is_none() || proposal.because.is_like(why);
        (is_this && holds).then_some(proposal)
    }

    /// A move that an operator wants while the old pool serves waits until no cache holds an
    /// answer with the long TTL; any other goes at once.
    fn hurry_or_wait(
        &self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        to: PoolName,
        why: Because,
    ) -> Weighed {
        let remaining = self
            .services
            .get(name)
            .filter(|state| self.has_leisure(name, state, &why))
            .map(|state| state.ttl_drain(service, now.mono));
        match remaining.filter(|remaining| !remaining.is_zero()) {
            Some(remaining) => Weighed {
                target: None,
                because: Because::TtlDrains {
                    to,
                    remaining,
                    why: Box::new(why),
                },
                wake: Some(now.mono + remaining),
                proposal: Asks::Nothing,
            },
            None => Weighed {
                target: Some(to),
                because: why,
                wake: None,
                proposal: Asks::Nothing,
            },
        }
    }

    /// Whether the old pool serves while caches are waited for, and nobody said not to wait.
    fn has_leisure(&self, name: &ServiceName, state: &ServiceState, why: &Because) -> bool {
        let active = state.active();
        let serves = self
            .pools
            .get(&active)
            .is_some_and(|pool| matches!(pool.belief.health, PoolHealth::Up | PoolHealth::Unknown));
        let hurries = if let Because::Ordered { .. } = why {
            let ordered = state.memory.ordered.as_ref();
            ordered.is_none_or(|ordered| ordered.now)
        } else if let Because::Drained { from } = why {
            self.overrides.drain_hurries(from)
        } else {
            // Nobody planned what health decides.
            *why != Because::Pinned || self.overrides.pin_hurries(name)
        };
        serves && !hurries
    }

    /// Makes the proposal what the decision asks for, and reminds people of it.
    pub(super) fn keep_proposal(
        &mut self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        weighed: &Weighed,
    ) {
        match &weighed.proposal {
            Asks::Undecided => {}
            Asks::Nothing => self.withdraw(name, &weighed.because),
            Asks::This(to, why) => {
                if self.proposal_of(name, service, to, why).is_none() {
                    self.withdraw(name, &weighed.because);
                    self.propose(now, name, service, to, why);
                }
                self.remind(now, name, service);
            }
        }
    }

    fn propose(
        &mut self,
        now: Now,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        why: &Because,
    ) {
        let servers: Vec<ServerName> = match self.policy.pools.get(to) {
            Some(pool) => pool.server_names(),
            None => return,
        };
        let id = self.take_number();
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        state.memory.proposal = Some(Proposal {
            id,
            from: state.active(),
            to: to.clone(),
            because: why.clone(),
            plan: service.runbook.clone(),
            servers,
            since: now.wall,
            word: None,
        });
        state.remind_at = None;
        self.remember(name);
    }

    /// The number of the next operation.
    pub(super) fn take_number(&mut self) -> OperationId {
        let id = self.next_operation;
        self.next_operation = OperationId(id.0.saturating_add(1));
        self.changes
            .retain(|change| !matches!(change, Change::NextOperation(_)));
        self.changes
            .push(Change::NextOperation(self.next_operation));
        id
    }

    /// The number that an operation begins with: that of its proposal, if it is what was approved.
    /// What was ordered or proposed besides is void.
    pub(super) fn number_for(
        &mut self,
        name: &ServiceName,
        service: &Service,
        to: &PoolName,
        because: &Because,
    ) -> OperationId {
        let approved = self
            .proposal_of(name, service, to, because)
            .filter(|proposal| proposal.approved().is_some())
            .map(|proposal| proposal.id);
        if let Some(id) = approved {
            if let Some(state) = self.services.get_mut(name) {
                state.memory.proposal = None;
            }
            return id;
        }
        self.withdraw(name, because);
        let ordered = self.services.get_mut(name).and_then(|state| {
            let ours = matches!(because, Because::Ordered { .. });
            let ordered = state.memory.ordered.take_if(|_| ours)?;
            state.memory.failback_suspended = ordered.suspends_failback;
            Some(ordered)
        });
        if ordered.is_none() {
            self.void_order(name, format!("another move begins: {because}"));
        }
        self.take_number()
    }

    /// Takes the proposal away, if there is one: it is not wanted any more.
    fn withdraw(&mut self, name: &ServiceName, because: &Because) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(proposal) = state.memory.proposal.take() else {
            return;
        };
        self.remember(name);
        self.tell(Event::Withdrawn {
            id: proposal.id,
            service: name.clone(),
            to: proposal.to.clone(),
            approved: proposal.approved().cloned(),
            because: because.clone(),
        });
    }

    /// Tells of a proposal that nobody has answered: at once, and again and again.
    fn remind(&mut self, now: Now, name: &ServiceName, service: &Service) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(proposal) = &state.memory.proposal else {
            return;
        };
        if proposal.word.is_some() {
            return;
        }
        let due = state.remind_at.is_none_or(|at| at <= now.mono);
        let told = due.then(|| Event::ApprovalWanted {
            id: proposal.id,
            service: name.clone(),
            from: proposal.from.clone(),
            to: proposal.to.clone(),
            because: proposal.because.clone(),
            since: proposal.since,
            reminder: state.remind_at.is_some() || proposal.since < now.wall,
        });
        if due {
            state.remind_at = Some(now.mono + service.remind_every);
        }
        let next = state.remind_at;
        if let Some(event) = told {
            self.tell(event);
        }
        if let Some(at) = next {
            self.wake_at(at);
        }
    }

    /// Whether the move that an operator ordered can still be made; if not, it is void.
    pub(super) fn review_order(&mut self, name: &ServiceName, service: &Service) {
        let ordered = self
            .services
            .get(name)
            .filter(|state| state.memory.operation.is_none())
            .and_then(|state| state.memory.ordered.clone());
        let Some(ordered) = ordered else { return };
        let refusal = match self.admit_move(name, service, &ordered.to, ordered.force) {
            // What ends by itself is waited for.
            Ok(()) | Err(OrderRefusal::Obstacle { .. }) => return,
            Err(OrderRefusal::TargetNotServing {
                health: PoolHealth::Unknown,
                ..
            }) => return,
            Err(refusal) => refusal,
        };
        self.void_order(name, refusal.to_string());
    }

    /// Takes an ordered move away.
    pub(super) fn void_order(&mut self, name: &ServiceName, why: String) {
        let Some(state) = self.services.get_mut(name) else {
            return;
        };
        let Some(ordered) = state.memory.ordered.take() else {
            return;
        };
        self.remember(name);
        self.tell(Event::OrderVoid {
            service: name.clone(),
            to: ordered.to,
            by: ordered.by,
            why,
        });
    }
}

/// Whether a decision says nothing about whether a move is wanted: it may be again in a moment,
/// after a start, an isolation, a freeze, or another service's operation.
fn is_undecided(because: &Because) -> bool {
    matches!(
        because,
        Because::Unknown
            | Because::Isolated
            | Because::Frozen
            | Because::TroubleTooShort { .. }
            | Because::FailbackWaits { .. }
            | Because::Settling { .. }
            | Because::WaitsForOperation { .. }
    )
}
