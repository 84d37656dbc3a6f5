(* E2: the formula of the gradient is the derivative of the energy, in every direction. *)
From Coq Require Import Reals Lra Lia.
From SphereTheory Require Import definitions sums pair sphere energy.
Open Scope R_scope.

Lemma dl_sqrt f x l : derivable_pt_lim f x l -> 0 < f x ->
  derivable_pt_lim (fun t => sqrt (f t)) x (/ (2 * sqrt (f x)) * l).
Proof. intros H Hx. apply (derivable_pt_lim_comp f sqrt); [ exact H | now apply derivable_pt_lim_sqrt ]. Qed.

Lemma dl_sum n f l x : (forall i, (i < n)%nat -> derivable_pt_lim (f i) x (l i)) ->
  derivable_pt_lim (fun t => sum n (fun i => f i t)) x (sum n l).
Proof.
  induction n; simpl; intros H; [ apply dl_const | ].
  apply (dl_plus (fun t => sum n (fun i => f i t)) (f n)); [ apply IHn; intros; apply H; lia | apply H; lia ].
Qed.

Section Gradient.
Variables (n d : nat) (s : R).
Local Notation unit_row := (unit_row d).
Local Notation D := (D d).
Local Notation HE := (HE n d s).
Local Notation sound := (sound n d).
Local Notation inner := (inner n d).
Local Notation gradient := (gradient n d s).

Section Path.
Variables W Delta : matrix.
Hypothesis HW : sound W.

Let at_ t := plus W (scaled t Delta).
Let u i := unit_row W i.

(* how û_i moves: (Δw_i − ⟨û_i, Δw_i⟩ û_i)/‖w_i‖ *)
Definition velocity i : vec :=
  lin (/ norm d (W i)) (Delta i) (- (dot d (u i) (Delta i)) / norm d (W i)) (u i).

Lemma at_0 i k : at_ 0 i k = W i k.
Proof. unfold at_, plus, scaled. ring. Qed.

Lemma norm_at_0 i : norm d (at_ 0 i) = norm d (W i).
Proof. unfold norm. f_equal. apply dot_ext; intros; apply at_0. Qed.

Lemma unit_at_0 i k : unit_row (at_ 0) i k = u i k.
Proof. unfold u, definitions.unit_row, direction. now rewrite norm_at_0, at_0. Qed.

Lemma dot_at_0 i : dot d (at_ 0 i) (at_ 0 i) = norm d (W i) * norm d (W i).
Proof. rewrite <- norm_sq. now rewrite norm_at_0. Qed.

Lemma entry_deriv i k : derivable_pt_lim (fun t => at_ t i k) 0 (Delta i k).
Proof. unfold at_, plus, scaled. eapply dl_eq; [ derive | cbv beta; ring ]. Qed.

Lemma norm_deriv i : (i < n)%nat -> derivable_pt_lim (fun t => norm d (at_ t i)) 0 (dot d (u i) (Delta i)).
Proof.
  intros Hi. pose proof (proj1 HW i Hi) as Hw.
  eapply dl_eq.
  - apply (dl_sqrt (fun t => dot d (at_ t i) (at_ t i))).
    + apply (dl_sum d (fun k t => at_ t i k * at_ t i k)). intros k _.
      apply (dl_mult (fun t => at_ t i k) (fun t => at_ t i k)); apply entry_deriv.
    + rewrite dot_at_0. now apply Rmult_lt_0_compat.
  - cbv beta. rewrite dot_at_0, sqrt_square by lra. unfold dot. rewrite <- sum_scal.
    apply sum_ext; intros k _. rewrite at_0. unfold u, definitions.unit_row, direction. field. lra.
Qed.

Lemma unit_deriv i k : (i < n)%nat -> derivable_pt_lim (fun t => unit_row (at_ t) i k) 0 (velocity i k).
Proof.
  intros Hi. pose proof (proj1 HW i Hi) as Hw. eapply dl_eq.
  - apply (derivable_pt_lim_div (fun t => at_ t i k) (fun t => norm d (at_ t i)));
      [ apply entry_deriv | now apply norm_deriv | rewrite norm_at_0; lra ].
  - cbv beta. rewrite norm_at_0, at_0. unfold velocity, lin, Rsqr, u, definitions.unit_row, direction.
    field. lra.
Qed.

Lemma radial i : (i < n)%nat -> dot d (u i) (velocity i) = 0.
Proof.
  intros Hi. pose proof (proj1 HW i Hi) as Hw. unfold velocity.
  rewrite dot_lin_r, (direction_unit d (W i) Hw : dot d (u i) (u i) = 1). field. lra.
Qed.

Lemma pair_deriv i j : (i < n)%nat -> (j < n)%nat -> i <> j ->
  derivable_pt_lim (fun t => potential s (D (at_ t) i j)) 0
    (factor s / 2 * Rpower (D W i j) (- s - 2) * (dot d (velocity i) (u j) + dot d (velocity j) (u i))).
Proof.
  intros Hi Hj Hij. pose proof (proj2 HW i j Hi Hj Hij) as HD.
  set (gap := fun t k => unit_row (at_ t) i k - unit_row (at_ t) j k).
  assert (E0 : forall k, gap 0 k = u i k - u j k) by (intros k; unfold gap; now rewrite !unit_at_0).
  assert (ED : dot d (gap 0) (gap 0) = D W i j * D W i j).
  { unfold definitions.D, chord. rewrite norm_sq. now apply dot_ext. }
  assert (E : D (at_ 0) i j = D W i j).
  { unfold definitions.D at 1, chord, norm. fold (gap 0). rewrite ED. apply sqrt_square. lra. }
  eapply dl_eq.
  - apply (derivable_pt_lim_comp (fun t => D (at_ t) i j) (potential s)); [ | rewrite E;
      now apply potential_slope ].
    apply (dl_sqrt (fun t => dot d (gap t) (gap t))); [ | rewrite ED; now apply Rmult_lt_0_compat ].
    assert (HG : forall k, derivable_pt_lim (fun t => gap t k) 0 (velocity i k - velocity j k)).
    { intros k. apply (dl_minus (fun t => unit_row (at_ t) i k) (fun t => unit_row (at_ t) j k));
        now apply unit_deriv. }
    apply (dl_sum d (fun k t => gap t k * gap t k) (fun k =>
      (velocity i k - velocity j k) * gap 0 k + gap 0 k * (velocity i k - velocity j k))). intros k _.
    apply (dl_mult (fun t => gap t k) (fun t => gap t k)); apply HG.
  - cbv beta. rewrite ED, sqrt_square by lra.
    replace (sum d _) with (2 * (dot d (lin 1 (u i) (-1) (u j)) (lin 1 (velocity i) (-1) (velocity j)))).
    + rewrite !dot_lin_l, !dot_lin_r, !radial by assumption.
      rewrite (dot_sym d (u i) (velocity j)), (dot_sym d (u j) (velocity i)).
      replace (- s - 2) with (- s - 1 - 1) by ring. rewrite (power_pred (D W i j) (- s - 1)) by exact HD.
      field. lra.
    + unfold dot. rewrite <- sum_scal. apply sum_ext; intros k _. rewrite E0. unfold lin. ring.
Qed.
End Path.

(* d/dt HE_s(W + tΔW) = ⟨∇HE_s(W), ΔW⟩ at t = 0, for every ΔW and every real s *)
Theorem E2_gradient (W Delta : matrix) :
  sound W -> derivable_pt_lim (fun t => HE (plus W (scaled t Delta))) 0 (inner (gradient W) Delta).
Proof.
  intros HW. set (v := velocity W Delta).
  set (a := fun i j => factor s / 2 * Rpower (D W i j) (- s - 2) * dot d (v i) (unit_row W j)).
  apply (dl_eq _ _ (sum n (fun i => others n i (fun j => a i j + a j i)))).
  - apply (dl_sum n (fun i t => others n i (fun j => potential s (D (plus W (scaled t Delta)) i j)))).
    intros i Hi.
    apply (dl_sum n (fun j t =>
      if Nat.eq_dec i j then 0 else potential s (D (plus W (scaled t Delta)) i j))). intros j Hj.
    destruct (Nat.eq_dec i j) as [_ | Hij]; [ apply dl_const | ].
    eapply dl_eq; [ now apply pair_deriv | ]. unfold a, v.
    rewrite (D_sym d W j i). ring.
  - transitivity (sum n (fun i => others n i (a i)) + sum n (fun i => others n i (fun j => a j i))).
    { rewrite <- sum_plus. apply sum_ext; intros i _. apply others_plus. }
    rewrite (others_swap n (fun i j => a j i)), <- sum_plus. apply sum_ext; intros i Hi.
    pose proof (proj1 HW i Hi) as Hw.
    transitivity (factor s * others n i (fun j => Rpower (D W i j) (- s - 2) * dot d (v i) (unit_row W j))).
    { rewrite <- others_plus, <- others_scal. apply others_ext; intros j _ _. unfold a. field. }
    rewrite gradient_dot, <- !others_scal. apply others_ext; intros j Hj Hij.
    unfold v, velocity. rewrite dot_lin_l, (dot_sym d (Delta i)),
      (dot_sym d (unit_row W i) (unit_row W j)). field. lra.
Qed.

(* ⟨w_i, ∂HE_s/∂w_i⟩ = 0 *)
Theorem E2_tangent (W : matrix) (i : nat) : sound W -> (i < n)%nat -> dot d (W i) (gradient W i) = 0.
Proof.
  intros HW Hi. pose proof (proj1 HW i Hi) as Hw. rewrite dot_sym, gradient_dot.
  assert (E : forall v, dot d v (W i) = norm d (W i) * dot d v (unit_row W i)).
  { intros v. unfold dot. rewrite <- sum_scal. apply sum_ext; intros k _.
    unfold definitions.unit_row, direction. field. lra. }
  rewrite (others_ext n i _ (fun j => 0 * 0)).
  - rewrite others_scal. ring.
  - intros j _ _. rewrite !E, (direction_unit d (W i) Hw : dot d (unit_row W i) (unit_row W i) = 1).
    rewrite (dot_sym d (unit_row W j)). ring.
Qed.
End Gradient.
